"""What every backbone has in common, and what those of keras.applications share besides.

A kind is one file of this folder that defines `class Backbone`, a subclass of this module's `Backbone` or
`Application`. Its facts are class attributes, so that planning reads them where TensorFlow is not installed; Keras is
imported in methods alone.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rustk.planning.cost import BackboneCost
from rustk.planning.sections import CALIBRATED_RANDOM, RANDOM, WEIGHTLESS
from rustk.planning.study import Model
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.wording import counted

if TYPE_CHECKING:
    import keras

T = TypeVar("T")

ImageShape = Sequence[int]  # height, width, channels of the dataset's images


class Backbone(ABC):
    """Maps images [batch, height, width, 3] in [-1, 1] to a feature map [batch, rows, columns, channels].

    smallest_side: of the images, in pixels. takes_weights: whether `weights add` takes a file for it. weightless: the
    values of `model.weights` that need no file. name_decides: whether name, image shape and weights say all there is of
    the network; where not, `describe` tells the rest.
    """

    title: ClassVar[str]
    smallest_side: ClassVar[int] = 1
    takes_weights: ClassVar[bool] = True
    weightless: ClassVar[tuple[str, ...]] = (RANDOM,)
    # Kernels don't depend on the size of images: the smallest is the quickest to build.
    sample_side: ClassVar[int | None] = None
    name_decides: ClassVar[bool] = True
    # How the names of a block's layers begin, as a regular expression; those that don't belong to the block before.
    block_names: ClassVar[str | None] = None
    block_count: ClassVar[int | None] = None  # None where only the network tells

    def __init__(self, architecture: str) -> None:
        """architecture: the name by which a study chose it."""
        self.architecture = architecture

    @property
    def sample_shape(self) -> ImageShape:
        """Height, width and channels of images for which a network is built to see whether a file fits."""
        side = self.sample_side or self.smallest_side
        return side, side, 3

    @abstractmethod
    def cost(self, image_shape: ImageShape, pooling: str) -> BackboneCost | None:
        """What one image costs; None where that is not known."""

    @abstractmethod
    def build(self, image_shape: ImageShape) -> "keras.Model":
        """The network, its own preprocessing included, for images of this height and width.

        What its weights are does not matter: they are drawn, or come from a file. Raises BadStudy.
        """

    def check(self, model: Model, image_shape: ImageShape) -> None:
        """Raise BadStudy where a study's model can't be built on such images."""
        height, width, *_ = image_shape
        if min(height, width) < self.smallest_side:
            raise BadStudy(
                f"model.architecture = {self.architecture}: {self.architecture} needs images of at least "
                f"{self.smallest_side}x{self.smallest_side}: the dataset's are {height}x{width}: choose another "
                "architecture, or make a dataset of larger images"
            )
        if model.weights in WEIGHTLESS and model.weights not in self.weightless:
            raise BadStudy(
                f"model.weights = {model.weights}: {self.architecture} has none of this kind: expected "
                f"{' or '.join(self.weightless)}{', or the name of weights in the store' if self.takes_weights else ''}"
            )
        if self.block_count is not None:
            self._check_blocks(model.trainable, self.block_count)
        if model.weights == CALIBRATED_RANDOM and model.trainable:
            raise BadStudy(f"model.weights = {model.weights}: they are to be frozen: expected model.trainable = false")
        if model.weights not in WEIGHTLESS and not self.takes_weights:
            raise BadStudy(
                f"model.weights = {clip(model.weights)}: there are no weights for {self.architecture}: expected "
                f"{' or '.join(self.weightless)}"
            )

    def _check_blocks(self, trainable: bool | int, blocks: int) -> None:
        if not isinstance(trainable, bool) and trainable > blocks:
            raise BadStudy(
                f"model.trainable = {trainable}: {self.architecture} has {counted(blocks, 'block')}: expected at "
                "most that"
            )

    def blocks_of(self, network: "keras.Model") -> "list[list[keras.Layer]]":
        """The layers of a network in blocks, from the first to the last: what `model.trainable` counts.

        Without `block_names`, each layer with weights begins a block, but for normalisation, which belongs to the layer
        before.
        """
        blocks: list[list[keras.Layer]] = [[]]
        current = None
        for layer in network.layers:
            if self.block_names is not None:
                found = re.match(self.block_names, layer.name)
                name = found[0] if found else current
            else:
                name = layer.name if layer.weights and not hasattr(layer, "moving_mean") else current
            if name != current and any(one.weights for one in blocks[-1]):
                blocks.append([])
            current = name
            blocks[-1].append(layer)
        return blocks

    def freeze_all_but(self, network: "keras.Model", blocks: int) -> None:
        """Mark what of a network is trained: its last so many blocks, without their batch normalisation, whose
        statistics a few images would spoil. Raises BadStudy where it has fewer blocks."""
        import keras

        from rustk.training.initial_weights import leaf_layers

        found = self.blocks_of(network)
        self._check_blocks(blocks, len(found))
        for layer in (layer for block in found[:-blocks] for layer in block):
            layer.trainable = False
        for layer in leaf_layers(network):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False

    def draw(self, network: "keras.Model", seed: int, weights: str = RANDOM) -> None:
        """Give a network that `build` made, perhaps traced since, the weights that `seed` says.

        weights: which of `weightless`. By default each layer's own initialisers draw.
        """
        from rustk.training.initial_weights import draw_weights

        draw_weights(network, seed)

    def download(self) -> "keras.Model":
        """The network with ImageNet's weights, by the network. Raises BadStudy where nobody publishes such."""
        raise BadStudy(f"weights add --download: there are no published weights of {self.architecture}: give a FILE")

    def packaged(self) -> "keras.Model":
        """The network with the weights that an installed package carries. Raises BadStudy where there is no such."""
        raise BadStudy(f"weights add --from-package: no package carries weights of {self.architecture}: give a FILE")

    def describe(self, network: "keras.Model") -> list[Any] | None:
        """The layers of a network that its name does not decide; None where it does."""
        return None

    def blamed(self) -> AbstractContextManager[None]:
        """A block that runs the network: where it is the user's code that fails in it, BadStudy says so."""
        return nullcontext()


class Application(Backbone):
    """A network of keras.applications.

    application: its function there. options: what that is called with besides shape and weights. scale, offset: what
    makes of the images in [-1, 1] what the network was trained on, by channel; images are grey, so that the order of
    the channels says nothing but which channel's numbers these are. multiply_adds: of a forward pass, in images of
    `reference_side`; channels: of the feature map.
    """

    application: ClassVar[str]
    options: ClassVar[Mapping[str, Any]] = {}
    scale: ClassVar[Sequence[float] | None] = None
    offset: ClassVar[Sequence[float] | None] = None
    smallest_side = 32
    reference_side: ClassVar[int] = 224
    multiply_adds: ClassVar[float]
    channels: ClassVar[int]

    def map_side(self, side: int) -> int:
        """How many rows the feature map of images with so many rows has (and columns alike)."""
        return -(-side // 32)

    def cost(self, image_shape: ImageShape, pooling: str) -> BackboneCost:
        height, width, *_ = image_shape
        # Convolutions scale with the image's area.
        multiply_adds = self.multiply_adds * height * width / self.reference_side**2
        places = self.map_side(height) * self.map_side(width) if pooling == "flatten" else 1
        return BackboneCost(multiply_adds, self.channels * places, self.block_count)

    def build(self, image_shape: ImageShape) -> "keras.Model":
        return self._network(image_shape, None)

    def download(self) -> "keras.Model":
        return self._network(self.sample_shape, "imagenet")

    def _network(self, image_shape: ImageShape, weights: str | None) -> "keras.Model":
        import keras

        shape = (image_shape[0], image_shape[1], 3)
        function: Callable[..., keras.Model] = getattr(keras.applications, self.application)
        if self.scale is None:
            return function(include_top=False, weights=weights, input_shape=shape, **self.options)
        scaled = keras.layers.Rescaling(list(self.scale), list(self.offset or (0.0,)), name="preprocessing")
        inputs = keras.Input(shape)
        return function(include_top=False, weights=weights, input_tensor=scaled(inputs), **self.options)


# What ImageNet's networks are mostly trained on: (x / 255 - mean) / standard deviation, of each channel of RGB.
IMAGENET_SCALE = tuple(0.5 / deviation for deviation in (0.229, 0.224, 0.225))
IMAGENET_OFFSET = tuple(
    (0.5 - mean) / deviation for mean, deviation in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)
)
