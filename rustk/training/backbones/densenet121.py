"""DenseNet 121 (Huang et al., Densely Connected Convolutional Networks, CVPR 2017): the usual one for radiographs."""

from rustk.training.backbones import base


class Backbone(base.Application):
    """As keras.applications has it. Cost: Figure 3 of its paper."""

    title = "DenseNet 121"
    application = "DenseNet121"
    scale = base.IMAGENET_SCALE
    offset = base.IMAGENET_OFFSET
    multiply_adds = 2.9e9
    channels = 1024
    block_names = r"conv\d(?=_block)"  # a dense block each, with the transition behind it
    block_count = 5

    def map_side(self, side: int) -> int:
        # Two padded halvings, then three transitions whose pooling drops an odd row.
        return -(-side // 4) // 8
