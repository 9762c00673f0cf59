"""Grey images as rustk stores them: their preparation, PNG bytes, and a perceptual hash that finds near-duplicates."""

import enum
import io

import numpy as np

from rustk.datasets.packages import missing_package

try:
    import imagehash
    from PIL import Image
except ImportError as error:
    raise missing_package(error) from error


class Preparation(enum.StrEnum):
    """How an image of any shape becomes a square one."""

    STRETCH = "stretch"  # both sides to the full length, the aspect is lost
    LETTERBOX = "letterbox"  # the longer side to the full length, black beside the shorter one


def prepare(pixels: np.ndarray, size: int, preparation: Preparation) -> np.ndarray:
    """Grey uint8 [height, width] to uint8 [size, size], antialiased (Lanczos, widened when it reduces)."""
    image = Image.fromarray(pixels)
    if preparation is Preparation.STRETCH:
        return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))
    scale = size / max(image.size)
    width, height = (max(1, round(scale * side)) for side in image.size)
    square = Image.new("L", (size, size), color=0)
    square.paste(image.resize((width, height), Image.Resampling.LANCZOS), ((size - width) // 2, (size - height) // 2))
    return np.asarray(square)


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG without metadata of a grey uint8 image [height, width]; equal pixels give equal bytes with one Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def perceptual_hash(pixels: np.ndarray) -> str:
    """The 64-bit pHash (DCT) of a grey uint8 image, as 16 hex digits."""
    return str(imagehash.phash(Image.fromarray(pixels)))
