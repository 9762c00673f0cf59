"""Reads a radiograph from a DICOM, PNG or JPEG file, as the grey values that a reader of the image would see.

DICOM goes through its modality LUT and its VOI LUT or window (PS3.3 C.11.1 and C.11.2), and MONOCHROME1 is inverted,
so that bone is bright in every image. Values of more than 8 bits that come without a window are spread from the least
to the greatest. No tag of a file goes any further than this module.
"""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rustk.datasets.apart import ChildDied, call_apart
from rustk.datasets.packages import missing_package
from rustk.vocabulary.errors import one_line

try:
    from PIL import Image, ImageOps, UnidentifiedImageError
except ImportError as error:
    raise missing_package(error) from error

if TYPE_CHECKING:
    from pydicom import Dataset

# Raised whenever the same file begins to give other grey values: a part of every key of the cache of prepared images.
DECODING = 2

_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima", "")
# Of a file without meta information: what its own encoding, implicit VR and little endian or not, amounts to.
_PLAIN_SYNTAXES = {
    (True, True): "1.2.840.10008.1.2",
    (False, True): "1.2.840.10008.1.2.1",
    (False, False): "1.2.840.10008.1.2.2",
}
# By UID: which of pydicom's decoders reads a syntax. Left to itself pydicom asks GDCM first.
_DECODERS = {
    "1.2.840.10008.1.2.4.50": "pillow",  # JPEG baseline
    "1.2.840.10008.1.2.4.51": "pillow",  # JPEG extended
    "1.2.840.10008.1.2.4.80": "pyjpegls",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81": "pyjpegls",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": "pylibjpeg",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91": "pylibjpeg",  # JPEG 2000
}
# JPEG lossless, which GDCM alone reads. At some damaged files it ends the whole process: it gets one of its own.
_FRAGILE = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
# Nothing that a radiograph could be seen on is smaller.
_SMALLEST_SIDE = 16
_MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 2**27
_LONGEST_REASON = 160
# How pydicom says that a file's header describes more pixels than follow it.
_CUT_PIXELS = re.compile(r"less than expected \((\d+) vs (\d+) bytes\)")
# What pydicom and the decoders behind it are known to raise for files that are damaged or that lack a tag. They
# document no common class, and a broken file must cost its own row only, not the build.
_DICOM_ERRORS = (
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    MemoryError,
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


class NotAnImage(UnreadableImage):
    """A file of another kind: neither DICOM nor PNG nor JPEG, or DICOM that holds no image, as a DICOMDIR does."""


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
        raise NotAnImage("neither DICOM nor PNG nor JPEG")
    height, width = found.pixels.shape
    if min(height, width) < _SMALLEST_SIDE:
        raise UnreadableImage(
            f"{height}x{width} pixels, too small for a radiograph: expected at least {_SMALLEST_SIDE} on a side"
        )
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
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # what is too large is refused below
            opened = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
            _check_pixels(opened.height, opened.width)
            if (frames := getattr(opened, "n_frames", 1)) > 1:
                raise UnreadableImage(f"has {frames} frames: expected a single image")
            opened.load()
    except Image.DecompressionBombError:
        raise UnreadableImage(f"has too many pixels for a radiograph: expected at most {_MOST_PIXELS:,}") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, struct.error, zlib.error) as error:
        if "MAX_TEXT" in str(error):  # Pillow's limits, by their names; a turn of the image may stand in its text
            raise UnreadableImage(
                "has more text or a larger colour profile than can be read: expected an image saved without them"
            ) from None
        raise UnreadableImage(f"damaged: {_one_line(error)}") from None
    image: Image.Image = ImageOps.exif_transpose(opened)
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _spread(np.asarray(image).astype(np.float64))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.asarray(image.convert("L"))


def _decode_dicom(data: bytes, *, with_preamble: bool, apart: bool = False) -> Radiograph:
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
                raise _without_pixels(dataset, with_preamble)
            frames = int(dataset.get("NumberOfFrames") or 1)
            if frames > 1:
                raise UnreadableImage(f"has {frames} frames: expected a single image")
            if "TransferSyntaxUID" not in dataset.file_meta:
                implicit, little = dataset.original_encoding
                dataset.file_meta.TransferSyntaxUID = _PLAIN_SYNTAXES[bool(implicit), bool(little)]
            syntax = str(dataset.file_meta.TransferSyntaxUID)
            _check_pixels(int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0))
            if syntax in _FRAGILE and not apart:
                return call_apart(_decode_dicom, data, with_preamble=with_preamble, apart=True)
            if (decoder := _DECODERS.get(syntax)) is not None:
                dataset.pixel_array_options(decoding_plugin=decoder)
            if decoder == "pylibjpeg":
                _check_jpeg2000(dataset)
            pixels = _displayed(dataset)
        except ChildDied:
            raise UnreadableImage("DICOM that can't be decoded: gdcm: ended by its data, which are damaged") from None
        except InvalidDicomError:
            raise UnreadableImage("damaged DICOM") from None
        except (EOFError, struct.error):
            raise UnreadableImage("damaged DICOM: it is cut off") from None
        except _DICOM_ERRORS as error:
            if cut := _CUT_PIXELS.search(str(error)):
                found, expected = (f"{int(count):,}" for count in cut.groups())
                raise UnreadableImage(
                    f"damaged DICOM: {found} bytes of pixels: expected {expected}, as its header says"
                ) from None
            raise UnreadableImage(f"DICOM that can't be decoded: {_one_line(error)}") from None
        return Radiograph(pixels, says_burnt_in=str(dataset.get("BurnedInAnnotation") or "").strip().upper() == "YES")


def _check_pixels(height: int, width: int) -> None:
    if height * width > _MOST_PIXELS:
        raise UnreadableImage(
            f"{height}x{width} pixels, too many for a radiograph: expected at most {_MOST_PIXELS:,} in all"
        )


def _check_jpeg2000(dataset: "Dataset") -> None:
    """Raise UnreadableImage where the compressed image says that it is of another size: openjpeg takes hours over one
    that a flipped bit has made hundreds of millions of pixels wide.
    """
    from pydicom.encaps import get_frame

    try:
        from openjpeg import get_parameters
    except ImportError as error:
        raise missing_package(error) from error

    inside = get_parameters(get_frame(dataset.PixelData, 0, number_of_frames=1))
    if (inside["rows"], inside["columns"]) != (dataset.Rows, dataset.Columns):
        found, expected = f"{inside['rows']}x{inside['columns']}", f"{dataset.Rows}x{dataset.Columns}"
        raise UnreadableImage(f"damaged: its JPEG 2000 data are of {found} pixels, its header says {expected}")


def _without_pixels(dataset: "Dataset", with_preamble: bool) -> UnreadableImage:
    # pydicom leaves an element out that the end of the file cuts short, or everything with it.
    if "Rows" in dataset and "Columns" in dataset:
        shape = f"{dataset.Rows}x{dataset.Columns}"
        return UnreadableImage(f"damaged DICOM: the file ends before its {shape} pixels are complete")
    if not with_preamble:
        return NotAnImage("neither DICOM nor PNG nor JPEG")
    if not len(dataset):
        return UnreadableImage("damaged DICOM: it is cut off before or within its pixels")
    return NotAnImage("DICOM without an image")


def _displayed(dataset: "Dataset") -> np.ndarray:
    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut

    photometric = str(dataset.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        stored = dataset.pixel_array
        bits = _prepare_palette(dataset)
        return _luminance(apply_color_lut(stored, dataset) >> max(0, bits - 8))
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
        shape = "x".join(map(str, stored.shape))
        raise UnreadableImage(f"its pixels are an array of {shape}: expected height x width")
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


def _prepare_palette(dataset: "Dataset") -> int:
    """Put a palette's words into the order that pydicom reads them in; the bits of an entry."""
    if dataset.original_encoding[1] is False:
        for colour in ("Red", "Green", "Blue"):
            keyword = f"{colour}PaletteColorLookupTableData"
            if keyword in dataset:
                setattr(dataset, keyword, np.frombuffer(dataset[keyword].value, ">u2").astype("<u2").tobytes())
    if "RedPaletteColorLookupTableDescriptor" not in dataset:
        raise UnreadableImage("damaged DICOM: its colours are of a palette that it does not have")
    return int(dataset.RedPaletteColorLookupTableDescriptor[2])


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
    # pydicom's own sentence comes before what its decoder said.
    text = str(error).rpartition("raised by all available plugins:")[2]
    # GDCM gives nothing at all for what it can't decode, and Pillow names its buffer by an address.
    text = text.replace("'NoneType' object has no attribute 'encode'", "damaged data")
    text = re.sub(r" <_io\.BytesIO object at 0x[0-9a-f]+>", "", text)
    text = re.sub(r"'FileDataset' object has no attribute '(\w+)'", r"it has no \1", text)
    if len(text) > _LONGEST_REASON:  # whole sentences, rather than the ends of all of them
        text = text.partition(". ")[0]
    if len(text) > _LONGEST_REASON:
        text = f"{text[:_LONGEST_REASON].rpartition(' ')[0]} ..."
    return one_line(text, _LONGEST_REASON + 4) or type(error).__name__
