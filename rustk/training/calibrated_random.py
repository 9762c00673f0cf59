"""`model.weights: calibrated-random`: features of an untrained InceptionV3 that a head can learn from.

Keras's own initialisers are made for networks that will be trained. With them, and batch normalisation in inference
mode, activations fade to about 1e-4 on the way through InceptionV3; with He's they stay, but all images come to look
alike (cosine 0.995 between the pooled features of two phantoms) or, with centred kernels, to differ by chance alone.
On 1,200 phantoms of 128x128, a head trained on frozen features ranked scores within a view with an AUROC of 0.51, 0.5
and 0.57. What is drawn here reaches 0.74, since what an early layer sees survives the later ones:

- Kernels are centred and scaled for each filter (scaled weight standardization: A. Brock, S. De and S. Smith,
  ICLR 2021, arXiv:2101.08692, equation 1), which keeps variances and takes away what all images have in common.
- Past the stem, a kernel mixes channels at random and blurs in space: neighbours add up instead of cancelling out.
- Past the stem, batch normalisation shifts by one standard deviation, so that relu works mostly on its linear side, and
  forty layers on top of each other stay gentle.
- The batch normalisation of the last block takes its statistics from seeded noise images with a spectrum like that of
  radiographs, so that features come out of order one. It then shifts down by most of what global max pooling gives
  on average on those images: what all images have in common goes, and what sets them apart stays. On 255 phantoms of
  299x299, a head that took 140 steps ranked scores within a view with 0.65 instead of 0.52.
"""

import math

import keras
import numpy as np
import numpy.typing as npt

from rustk.training.seeds import derive_seed

# InceptionV3's convolutions before its first block of branches: they see edges and texture.
_STEM_CONVOLUTIONS = 5
_SHIFT = 1.0
_LEFT = 1.0  # of the mean of pooled features; relu cuts off what falls below 0
_LAST_BLOCK_AFTER = "mixed9"
_REFERENCE_IMAGES = 8
# Amplitude falls with this power of spatial frequency.
_REFERENCE_SPECTRUM = 1.5


def calibrate_inception(backbone: keras.Model, seed: int) -> None:
    """Give a keras.applications InceptionV3, built without top, weights to be frozen; a function of seed and shape."""
    number_of_convolution = number_of_normalization = 0
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.Conv2D):
            generator = np.random.default_rng(derive_seed("frozen", seed, number_of_convolution))
            # The first convolution past the stem still gets what the stem's unshifted relu lets through.
            gain = _gain(0.0 if number_of_convolution <= _STEM_CONVOLUTIONS else _SHIFT)
            blurs = number_of_convolution >= _STEM_CONVOLUTIONS
            layer.kernel.assign(_draw_kernel(tuple(layer.kernel.shape), generator, gain, blurs))
            number_of_convolution += 1
        elif isinstance(layer, keras.layers.BatchNormalization):
            if number_of_normalization >= _STEM_CONVOLUTIONS:
                layer.beta.assign(np.full(layer.beta.shape, _SHIFT, np.float32))
            number_of_normalization += 1
    _, height, width, _ = backbone.input.shape
    _calibrate_last_block(backbone, _reference_images(height, width, derive_seed("reference", seed)))


def _draw_kernel(
    shape: tuple[int, int, int, int], generator: np.random.Generator, gain: float, blurs: bool
) -> npt.NDArray[np.float32]:
    """A kernel [height, width, inputs, filters] whose every filter has mean 0, and variance `gain` over fan-in."""
    height, width, inputs, filters = shape
    drawn = (1, 1, inputs, filters) if blurs else shape
    kernel = generator.standard_normal(drawn)
    kernel -= kernel.mean(axis=(0, 1, 2))
    kernel /= np.maximum(kernel.std(axis=(0, 1, 2)), 1e-6)
    kernel *= math.sqrt(gain / math.prod(drawn[:3]))
    if blurs:
        kernel = np.broadcast_to(kernel / (height * width), shape)
    return kernel.astype(np.float32)


def _gain(shift: float) -> float:
    """1 / variance of relu(z + shift) for a standard normal z: what keeps the variance from layer to layer."""
    density = math.exp(-shift * shift / 2) / math.sqrt(2 * math.pi)
    below = (1 + math.erf(shift / math.sqrt(2))) / 2
    mean = shift * below + density
    return 1 / ((shift * shift + 1) * below + shift * density - mean * mean)


def _reference_images(height: int, width: int, seed: int) -> npt.NDArray[np.float32]:
    """Noise in [-1, 1], smooth as radiographs are: float32 [images, height, width, 3], grey."""
    generator = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    frequency[0, 0] = frequency[0, 1]
    white = np.fft.fft2(generator.standard_normal((_REFERENCE_IMAGES, height, width)))
    noise = np.fft.ifft2(white / frequency**_REFERENCE_SPECTRUM).real
    noise /= np.abs(noise).max(axis=(1, 2), keepdims=True)
    return np.repeat(noise[..., None].astype(np.float32), 3, axis=-1)


def _calibrate_last_block(backbone: keras.Model, images: npt.NDArray[np.float32]) -> None:
    """Let the last block's batch normalisations take mean and variance from `images`, and centre what pooling makes of
    them; the others keep theirs."""
    names = [layer.name for layer in backbone.layers]
    first = names.index(_LAST_BLOCK_AFTER)
    normalizations = [
        (number, layer)
        for number, layer in enumerate(backbone.layers)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    momenta = [layer.momentum for _, layer in normalizations]
    for number, layer in normalizations:
        layer.momentum = 0.0
        layer.trainable = number > first
    backbone(images, training=True)
    for (_, layer), momentum in zip(normalizations, momenta, strict=True):
        layer.momentum = momentum
        layer.trainable = True
    pooled = keras.ops.convert_to_numpy(backbone(images, training=False)).max(axis=(1, 2))  # [images, features]
    for number, layer in normalizations:
        if number > first:
            layer.beta.assign(np.full(layer.beta.shape, _SHIFT - pooled.mean() + _LEFT, np.float32))
