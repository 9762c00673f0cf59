"""Inception V3 (Szegedy et al., Rethinking the Inception Architecture, CVPR 2016): the studies' backbone."""

import re
from typing import TYPE_CHECKING

from rustk.planning.sections import CALIBRATED_RANDOM, RANDOM
from rustk.training.backbones import base

if TYPE_CHECKING:
    import keras


class Backbone(base.Application):
    """As keras.applications has it, which takes images in [-1, 1] as they come. Cost: Table 1 of its paper."""

    title = "Inception V3"
    application = "InceptionV3"
    smallest_side = 75
    weightless = (RANDOM, CALIBRATED_RANDOM)
    reference_side = 299
    multiply_adds = 5.7e9
    channels = 2048
    block_count = 11

    def map_side(self, side: int) -> int:
        # Valid convolutions of 3 and poolings of 3: five that halve, and two of stride 1 in the stem.
        side = ((side - 3) // 2 + 1) - 2
        side = (((side - 3) // 2 + 1) - 2 - 3) // 2 + 1
        for _ in range(2):
            side = (side - 3) // 2 + 1
        return side

    def blocks_of(self, network: "keras.Model") -> "list[list[keras.Layer]]":
        """Each ends where its branches come together; the first holds the stem too."""
        blocks: list[list[keras.Layer]] = [[]]
        for layer in network.layers:
            blocks[-1].append(layer)
            if re.fullmatch(r"mixed\d+", layer.name) and layer is not network.layers[-1]:
                blocks.append([])
        return blocks

    def draw(self, network: "keras.Model", seed: int, weights: str = RANDOM) -> None:
        super().draw(network, seed, weights)
        if weights == CALIBRATED_RANDOM:
            from rustk.training.calibrated_random import calibrate_inception

            calibrate_inception(network, seed)
