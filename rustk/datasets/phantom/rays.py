"""What every phantom picture is made of: rays through round things, soft edges, textures, and an exposure.

Lengths are fractions of the image's side; attenuation has no unit.
"""

import numpy as np
from PIL import Image


def plane(size: int, mirrored: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates across and along the bone, [size, size] float32 each, after a small rotation, shift and scaling."""
    angle = np.deg2rad(random.normal(0.0, 6.0))
    shift_u, shift_v = random.uniform(-0.12, 0.12), random.uniform(-0.06, 0.06)
    scale = random.uniform(0.88, 1.14)
    line = ((np.arange(size, dtype=np.float32) + 0.5) / size - 0.5) / scale
    x, y = (line - shift_u)[None, :], (line - shift_v)[:, None]
    u = mirrored * (np.cos(angle) * x + np.sin(angle) * y)
    v = np.cos(angle) * y - np.sin(angle) * x
    return u.astype(np.float32), v.astype(np.float32)


def blend(x: np.ndarray, width: float) -> np.ndarray:
    """From 0 to 1 as x passes 0, within about `width`."""
    return 0.5 + 0.5 * np.tanh(x / width)


def chord(u: np.ndarray, radius: np.ndarray | float) -> np.ndarray:
    """The path of a ray through a cylinder of `radius`, at distance `u` from its axis."""
    return 2.0 * np.sqrt(np.maximum(radius * radius - u * u, 0.0))


def jag(u: np.ndarray, random: np.random.Generator) -> np.ndarray:
    knots = np.linspace(-0.8, 0.8, 65)
    steps = random.normal(size=65)
    return np.interp(u, knots, 0.6 * steps + 0.4 * np.roll(steps, 1)).astype(np.float32)


def smooth_field(random: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """A random texture, [size, size] float32 of about unit variance, that varies over a `cells`-th of the side."""
    coarse = Image.fromarray(random.standard_normal((cells, cells), dtype=np.float32))
    return np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC))


def expose(attenuation: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Attenuation to grey values, bone white: exposure, contrast, blur and noise of one shot. uint8, same shape."""
    from scipy.ndimage import gaussian_filter

    size = attenuation.shape[0]
    gain, lift = random.uniform(0.88, 1.12), random.uniform(0.0, 0.05)
    grey = 1.0 - np.exp(-1.25 * gain * attenuation)
    grey = (lift + (1.0 - lift) * grey) ** random.uniform(0.9, 1.1)
    # The heel effect: the beam is weaker on one side.
    line = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    slope_across, slope_along = random.uniform(-0.18, 0.18, size=2)
    grey = grey * (1.0 + slope_across * line[None, :] + slope_along * line[:, None])
    grain = random.standard_normal((size, size), dtype=np.float32)
    blur = max(0.35, size / 299 * random.uniform(0.5, 0.9))
    grey = gaussian_filter(grey.astype(np.float32), blur, truncate=3.0)
    grain = gaussian_filter(grain, 0.6, truncate=2.0)
    # Quantum noise: fewer photons pass where more is absorbed.
    grey = grey + random.uniform(0.012, 0.022) * (0.6 + 0.8 * grey) * grain
    return np.clip(np.rint(255.0 * grey), 0, 255).astype(np.uint8)
