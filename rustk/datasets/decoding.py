"""Reads a radiograph from a DICOM, PNG or JPEG file, as the grey values that a reader of the image would see.

DICOM goes through its modality LUT and its VOI LUT or window (PS3.3 C.11.1 and C.11.2), and MONOCHROME1 is inverted,
so that bone is bright in every image. Values of more than 8 bits that come without a window are spread from the least
to the greatest. No tag of a file goes any further than this module.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from rustk.datasets.imaging import missing_package

if TYPE_CHECKING:
    from pydicom import Dataset

# Raised whenever the same file begins to give other grey values: a part of every key of the cache of prepared images.
DECODING = 1

_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima", "")
# Of a file without meta information: what its own encoding, implicit VR and little endian or not, amounts to.
_PLAIN_SYNTAXES = {
    (True, True): "1.2.840.10008.1.2",
    (False, True): "1.2.840.10008.1.2.1",
    (False, False): "1.2.840.10008.1.2.2",
}
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
# What pydicom and the decoders behind it are known to raise for files that are damaged or that lack a tag. They
# document no common class, and a broken file must cost its own row only, not the build.
_DICOM_ERRORS = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


class UnreadableImage(Exception):
    """A file that gives no single grey image. Its text says why, and names neither the file nor anything it
    identifies.
    """


@dataclass(frozen=True)
class Radiograph:
    """pixels: uint8 [height, width], bone bright; says_burnt_in: the file itself says that text is burnt into it."""

    pixels: np.ndarray
    says_burnt_in: bool = False


def decode(data: bytes, suffix: str) -> Radiograph:
    """Decode the bytes of a file; `suffix` (".dcm") only decides whether bytes of no known format may be DICOM.

    Raises UnreadableImage, and RustkError where a package for reading DICOM is not installed.
    """
    if not data:
        raise UnreadableImage("the file is empty")
    if data[128:132] == b"DICM":
        found = _decode_dicom(data, with_preamble=True)
    elif data.startswith((_PNG, _JPEG)):
        found = Radiograph(_decode_picture(data))
    elif suffix.lower() in _DICOM_SUFFIXES:
        found = _decode_dicom(data, with_preamble=False)
    else:
        raise UnreadableImage("neither DICOM nor PNG nor JPEG")
    if found.pixels.min() == found.pixels.max():
        raise UnreadableImage("blank: all pixels have the same value")
    return found


def read_radiograph(path: Path) -> Radiograph:
    """`decode` the file at `path`. Raises UnreadableImage, also where the file can't be opened."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableImage(error.strerror or "can't be opened") from None
    return decode(data, path.suffix)


def _decode_picture(data: bytes) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
            if (frames := getattr(opened, "n_frames", 1)) > 1:
                raise UnreadableImage(f"has {frames} frames: expected a single image")
            opened.load()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableImage("has too many pixels to be a radiograph") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, struct.error, zlib.error) as error:
        raise UnreadableImage(f"damaged: {_one_line(error)}") from None
    image: Image.Image = ImageOps.exif_transpose(opened)
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _spread(np.asarray(image).astype(np.float64))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.asarray(image.convert("L"))


def _decode_dicom(data: bytes, *, with_preamble: bool) -> Radiograph:
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ImportError as error:
        raise missing_package(error) from error
    with warnings.catch_warnings():
        # pydicom warns of values that break the standard's letter; whether an image comes out is what matters here.
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(io.BytesIO(data), force=not with_preamble)
            if "PixelData" not in dataset:
                raise UnreadableImage("DICOM without an image" if with_preamble else "neither DICOM nor PNG nor JPEG")
            frames = int(dataset.get("NumberOfFrames") or 1)
            if frames > 1:
                raise UnreadableImage(f"has {frames} frames: expected a single image")
            if "TransferSyntaxUID" not in dataset.file_meta:
                implicit, little = dataset.original_encoding
                dataset.file_meta.TransferSyntaxUID = _PLAIN_SYNTAXES[bool(implicit), bool(little)]
            pixels = _displayed(dataset)
        except InvalidDicomError:
            raise UnreadableImage("damaged DICOM") from None
        except _DICOM_ERRORS as error:
            raise UnreadableImage(f"DICOM that can't be decoded: {_one_line(error)}") from None
        return Radiograph(pixels, says_burnt_in=str(dataset.get("BurnedInAnnotation") or "").strip().upper() == "YES")


def _displayed(dataset: "Dataset") -> np.ndarray:
    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

    photometric = str(dataset.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        colour = apply_color_lut(dataset.pixel_array, dataset)
        return _luminance(colour >> 8 if colour.dtype == np.uint16 else colour)
    if dataset.SamplesPerPixel == 3:
        if dataset.BitsStored != 8:
            raise UnreadableImage(f"colour of {dataset.BitsStored} bits: expected 8")
        return _luminance(dataset.pixel_array)  # pydicom turns YBR into RGB
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise UnreadableImage(f"photometric interpretation {photometric}: expected MONOCHROME1 or MONOCHROME2")
    if not 8 <= dataset.BitsStored <= 16:
        raise UnreadableImage(f"{dataset.BitsStored} bits a pixel: expected 8 to 16")
    stored = dataset.pixel_array
    if stored.ndim != 2:
        raise UnreadableImage(f"an image of shape {stored.shape}: expected height and width")
    padding = _padding(stored, dataset)
    values = np.asarray(apply_modality_lut(stored, dataset))
    ends = _voi_ends(dataset)
    if ends is None:
        grey = _spread(values, ignored=padding)
    else:
        shown = np.asarray(apply_voi_lut(values, dataset), dtype=np.float64)
        grey = _to_uint8((shown - ends[0]) / (ends[1] - ends[0]))
    if photometric == "MONOCHROME1":
        grey = 255 - grey
    if padding is not None:
        grey[padding] = 0
    return grey


def _voi_ends(dataset: "Dataset") -> tuple[float, float] | None:
    """What pydicom's apply_voi_lut gives for black and for white, or None where the file has neither LUT nor window."""
    if dataset.get("VOILUTSequence"):
        item = dataset.VOILUTSequence[0]
        entries, first, bits = (int(value) for value in item.LUTDescriptor)
        if bits == 8:
            # pydicom counts entries in the type of the table's values, and would wrap after the 256th.
            item.LUTDescriptor = [entries, first, 16]
        return 0.0, 2.0**bits - 1
    centre, width = (dataset.get(keyword) for keyword in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None:
        return None
    narrowest = float(width[0] if isinstance(width, Sequence) else width)
    is_linear = str(dataset.get("VOILUTFunction") or "LINEAR") == "LINEAR"
    if narrowest <= 0 or (is_linear and narrowest < 1):
        # Some exports fill in a window of no width where there was none.
        return None
    # A window spans the range of the values that go into it, whatever its own width (PS3.3 C.11.2.1.2).
    if dataset.get("ModalityLUTSequence"):
        return 0.0, 2.0 ** int(dataset.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    bits = int(dataset.BitsStored)
    black, white = (
        (0.0, 2.0**bits - 1) if dataset.PixelRepresentation == 0 else (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)
    )
    if dataset.get("RescaleSlope") is None or dataset.get("RescaleIntercept") is None:
        return black, white
    slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
    return slope * black + intercept, slope * white + intercept


def _padding(stored: np.ndarray, dataset: "Dataset") -> np.ndarray | None:
    """Where the image was padded beyond what was exposed: a mask, or None."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return None
    limit = dataset.get("PixelPaddingRangeLimit", value)
    low, high = sorted((int(value), int(limit)))
    mask: np.ndarray = (stored >= low) & (stored <= high)
    return mask if mask.any() and not mask.all() else None


def _spread(values: np.ndarray, ignored: np.ndarray | None = None) -> np.ndarray:
    """Values to uint8 from the least to the greatest; `ignored` ones don't count."""
    seen = values if ignored is None else values[~ignored]
    least, greatest = float(seen.min()), float(seen.max())
    if not np.isfinite([least, greatest]).all():
        raise UnreadableImage("has values that are not finite")
    return _to_uint8((values.astype(np.float64) - least) / max(greatest - least, 1e-12))


def _luminance(colour: np.ndarray) -> np.ndarray:
    return np.array(Image.fromarray(colour.astype(np.uint8)).convert("L"))


def _to_uint8(share: np.ndarray) -> np.ndarray:
    return np.rint(255.0 * np.clip(share, 0.0, 1.0)).astype(np.uint8)


def _one_line(error: BaseException | Any) -> str:
    text = " ".join(str(error).split())
    return text[:160] or type(error).__name__
