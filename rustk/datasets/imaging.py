"""Grey images as rustk stores them: PNG bytes, and a perceptual hash that finds near-duplicates."""

import io

import numpy as np
from PIL import Image

from rustk.vocabulary.errors import RustkError


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG of a grey uint8 image [height, width], without metadata; equal pixels give equal bytes with one Pillow
    version.
    """
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def perceptual_hash(pixels: np.ndarray) -> str:
    """The 64-bit pHash (DCT) of a grey uint8 image [height, width], in 16 hex digits. Raises RustkError without
    imagehash.
    """
    try:
        import imagehash
    except ImportError as error:
        raise missing_package(error) from error
    return str(imagehash.phash(Image.fromarray(pixels)))


def missing_package(error: ImportError) -> RustkError:
    """What to say when a package that only some installs have is absent."""
    return RustkError(
        f"{error.name} is not installed, and reading or drawing images needs it: pip install 'rustk[images]'"
    )
