"""Files to grey values: every transfer syntax that can be written here, LUTs and windows, and files that are broken."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from rustk.datasets import decoding
from rustk.datasets.decoding import Radiograph, UnreadableImage, decode, read_radiograph
from tests.datasets.dicom_files import as_bytes, dicom, transcoded

HEIGHT, WIDTH = 48, 40


def ramp(bits: int, dtype: type = np.uint16) -> np.ndarray:
    """[HEIGHT, WIDTH] values from 0 to the greatest of so many bits, dark at the left."""
    line = np.linspace(0, 2**bits - 1, WIDTH).round()
    return np.tile(line, (HEIGHT, 1)).astype(dtype)


def grey(share: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)


LOSSLESS = {
    "implicit": pydicom.uid.ImplicitVRLittleEndian,
    "explicit": pydicom.uid.ExplicitVRLittleEndian,
    "deflated": pydicom.uid.DeflatedExplicitVRLittleEndian,
    "rle": pydicom.uid.RLELossless,
    "jpeg-ls": pydicom.uid.JPEGLSLossless,
    "jpeg-2000": pydicom.uid.JPEG2000Lossless,
}


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (10, np.uint16), (12, np.uint16), (16, np.uint16)])
def test_every_lossless_syntax_gives_the_same_image(name: str, bits: int, dtype: type) -> None:
    data = as_bytes(dicom(ramp(bits, dtype), bits=bits, transfer_syntax=LOSSLESS[name]))
    assert np.array_equal(decode(data, ".dcm").pixels, grey(ramp(bits) / (2**bits - 1)))


@pytest.mark.parametrize(
    "syntax", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSLossless", "RLELossless"]
)
@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (12, np.uint16), (16, np.uint16)])
def test_files_written_by_gdcm_give_the_same_image(syntax: str, bits: int, dtype: type, tmp_path: Path) -> None:
    data = transcoded(dicom(ramp(bits, dtype), bits=bits), syntax, tmp_path)
    assert np.array_equal(decode(data, ".dcm").pixels, grey(ramp(bits) / (2**bits - 1)))


@pytest.mark.parametrize("syntax", ["JPEGBaselineProcess1", "JPEGExtendedProcess2_4", "JPEG2000"])
def test_lossy_syntaxes_give_nearly_the_same_image(syntax: str, tmp_path: Path) -> None:
    data = transcoded(dicom(ramp(8, np.uint8), bits=8), syntax, tmp_path)
    assert np.abs(decode(data, ".dcm").pixels.astype(int) - ramp(8)).max() <= 8


def test_a_syntax_that_no_decoder_here_knows_is_named_as_unreadable(tmp_path: Path) -> None:
    data = transcoded(dicom(ramp(12)), "JPEGExtendedProcess2_4", tmp_path)
    with pytest.raises(UnreadableImage, match=r"can't be decoded.*12-bit"):
        decode(data, ".dcm")


def test_monochrome1_is_inverted() -> None:
    plain = decode(as_bytes(dicom(ramp(12))), ".dcm").pixels
    inverted = decode(as_bytes(dicom(ramp(12), photometric="MONOCHROME1")), ".dcm").pixels
    assert np.array_equal(inverted, 255 - plain)


def test_a_window_decides_what_is_black_and_white() -> None:
    # PS3.3 C.11.2.1.2.1: ((x - (c - 0.5)) / (w - 1) + 0.5) of the range, clipped.
    data = as_bytes(dicom(ramp(12), WindowCenter=1000, WindowWidth=400))
    expected = grey((ramp(12).astype(float) - 999.5) / 399 + 0.5)
    found = decode(data, ".dcm").pixels
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert {0, 255} <= set(np.unique(found))


def test_the_first_of_several_windows_counts() -> None:
    one = decode(as_bytes(dicom(ramp(12), WindowCenter=1000, WindowWidth=400)), ".dcm").pixels
    several = dicom(ramp(12), WindowCenter=[1000, 3000], WindowWidth=[400, 50])
    assert np.array_equal(decode(as_bytes(several), ".dcm").pixels, one)


def test_a_window_of_no_width_counts_as_none() -> None:
    plain = decode(as_bytes(dicom(ramp(12))), ".dcm").pixels
    assert np.array_equal(decode(as_bytes(dicom(ramp(12), WindowCenter=0, WindowWidth=0)), ".dcm").pixels, plain)


@pytest.mark.parametrize("slope", [2.0, -2.0])
def test_rescaling_comes_before_the_window(slope: float) -> None:
    values = slope * ramp(12).astype(float) - 100
    data = as_bytes(
        dicom(ramp(12), RescaleSlope=slope, RescaleIntercept=-100, WindowCenter=1000 * slope, WindowWidth=800)
    )
    expected = grey((values - (1000 * slope - 0.5)) / 799 + 0.5)
    assert np.abs(decode(data, ".dcm").pixels.astype(int) - expected).max() <= 1


def test_signed_values_are_read_as_such() -> None:
    values = (ramp(12).astype(int) - 2048).astype(np.int16)
    assert np.array_equal(decode(as_bytes(dicom(values)), ".dcm").pixels, grey(ramp(12) / 4095))
    windowed = dicom(values, WindowCenter=0, WindowWidth=4096)
    assert np.abs(decode(as_bytes(windowed), ".dcm").pixels.astype(int) - grey(ramp(12) / 4095)).max() <= 1


def lut(entries: np.ndarray, bits: int, first: int = 0) -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item["LUTDescriptor"].VR = "US"
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return Sequence([item])


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_voi_lut_is_applied_before_any_window(bits: int) -> None:
    share = np.linspace(0, 1, 4096) ** 2
    data = as_bytes(
        dicom(ramp(12), VOILUTSequence=lut((share * (2**bits - 1)).round(), bits), WindowCenter=5, WindowWidth=10)
    )
    assert np.abs(decode(data, ".dcm").pixels.astype(int) - grey((ramp(12) / 4095) ** 2)).max() <= 1


def test_a_modality_lut_is_applied() -> None:
    entries = np.linspace(65535, 0, 4096).round()
    data = as_bytes(dicom(ramp(12), ModalityLUTSequence=lut(entries, 16), WindowCenter=32768, WindowWidth=65536))
    assert np.abs(decode(data, ".dcm").pixels.astype(int) - (255 - grey(ramp(12) / 4095))).max() <= 1


def test_padding_neither_counts_nor_shines() -> None:
    values = (ramp(12) // 4 + 1000).astype(np.uint16)
    values[:, :5] = 0
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        found = decode(as_bytes(dicom(values, photometric=photometric, PixelPaddingValue=0)), ".dcm").pixels
        assert (found[:, :5] == 0).all()
        assert found[:, 5:].min() == 0
        assert found[:, 5:].max() == 255


def test_colour_becomes_grey() -> None:
    colour = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colour[:, :, 1] = ramp(8, np.uint8)
    expected = np.asarray(Image.fromarray(colour).convert("L"))
    found = decode(as_bytes(dicom(colour, bits=8, photometric="RGB")), ".dcm").pixels
    assert np.array_equal(found, expected)


def palette(bits: int, allocated: int, *, big_endian: bool) -> tuple[bytes, np.ndarray]:
    """A PALETTE COLOR file whose three tables are one grey ramp of so many bits, and the grey that it shows."""
    shown = ramp(8, np.uint8)
    dataset = dicom(shown, bits=8, photometric="PALETTE COLOR")
    entries = np.arange(256) << (bits - 8)
    words = entries.astype("<u2") if allocated == 16 else np.frombuffer(entries.astype(np.uint8).tobytes(), "<u2")
    order = ">u2" if big_endian else "<u2"
    for colour in ("Red", "Green", "Blue"):
        keyword = f"{colour}PaletteColorLookupTable"
        dataset.add_new(f"{keyword}Descriptor", "US", [256, 0, bits])
        dataset.add_new(f"{keyword}Data", "OW", words.astype(order).tobytes())
    if not big_endian:
        return as_bytes(dataset), shown
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
    dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.set_original_encoding(False, False)
    buffer = io.BytesIO()
    dataset.save_as(buffer, implicit_vr=False, little_endian=False, enforce_file_format=True)
    return buffer.getvalue(), shown


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(("bits", "allocated"), [(8, 8), (8, 16), (16, 16)])
def test_a_palette_is_looked_up_in_either_byte_order(bits: int, allocated: int, big_endian: bool) -> None:
    data, shown = palette(bits, allocated, big_endian=big_endian)
    assert np.array_equal(decode(data, ".dcm").pixels, shown)


# JPEGLosslessProcess14 of 8 bits: the seed below has a file at which GDCM ends its process.
@pytest.mark.parametrize(
    "syntax", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGBaselineProcess1", "JPEG2000", "JPEGLSLossless"]
)
def test_damaged_pixels_are_no_lines_of_a_decoder_and_no_end_of_the_process(
    syntax: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = transcoded(dicom(ramp(8, np.uint8), bits=8), syntax, tmp_path)
    start = whole.index(b"\xe0\x7f\x10\x00") + 20
    generator = np.random.default_rng(0)
    said = []
    for _ in range(60):
        damaged = bytearray(whole)
        for at in generator.integers(start, len(whole), generator.integers(1, 20)):
            damaged[at] = generator.integers(256)
        try:
            decode(bytes(damaged), ".dcm")
        except UnreadableImage as error:
            said.append(str(error))
    assert len(said) > 10
    assert not [
        reason for reason in said if not reason.isprintable() or "object at 0x" in reason or "NoneType" in reason
    ]
    assert capfd.readouterr().err == ""


def test_a_file_without_preamble_is_dicom_all_the_same() -> None:
    dataset = dicom(ramp(12), transfer_syntax=pydicom.uid.ImplicitVRLittleEndian)
    buffer = io.BytesIO()
    del dataset.file_meta
    dataset.save_as(buffer, implicit_vr=True, little_endian=True, enforce_file_format=False)
    bare = buffer.getvalue().removeprefix(b"\0" * 128 + b"DICM")
    assert np.array_equal(decode(bare, ".dcm").pixels, grey(ramp(12) / 4095))


def test_a_file_that_says_that_text_is_burnt_in_is_known() -> None:
    assert decode(as_bytes(dicom(ramp(12), BurnedInAnnotation="YES")), "").says_burnt_in
    assert not decode(as_bytes(dicom(ramp(12), BurnedInAnnotation="NO")), "").says_burnt_in


def picture(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_pictures_of_any_mode_become_grey() -> None:
    plain = ramp(8, np.uint8)
    for image in (
        Image.fromarray(plain),
        Image.fromarray(np.repeat(plain[..., None], 3, axis=2)),
        Image.fromarray(plain).convert("LA"),
        Image.fromarray(plain).convert("RGBA"),
        Image.fromarray(plain).convert("P"),
    ):
        assert np.array_equal(decode(picture(image), ".png").pixels, plain), image.mode
    sixteen = Image.fromarray(ramp(12))
    assert np.array_equal(decode(picture(sixteen), ".png").pixels, grey(ramp(12) / 4095))
    jpeg = decode(picture(Image.fromarray(plain), "JPEG", quality=95), ".jpg").pixels
    assert np.abs(jpeg.astype(int) - plain).max() < 6


def test_a_transparent_edge_is_black() -> None:
    shine, opacity = np.full((16, 16), 200, np.uint8), np.full((16, 16), 255, np.uint8)
    opacity[:, :2] = 0
    image = Image.merge("LA", [Image.fromarray(shine), Image.fromarray(opacity)])
    found = decode(picture(image), ".png").pixels
    assert (found[:, :2] == 0).all()
    assert (found[:, 2:] == 200).all()


def test_a_picture_stands_as_its_camera_held_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    found = decode(picture(Image.fromarray(ramp(8, np.uint8)), "PNG", exif=exif), ".png").pixels
    assert found.shape == (WIDTH, HEIGHT)
    assert found[0].mean() < found[-1].mean()


MULTI_FRAME = dicom(np.tile(ramp(8, np.uint8), (3, 1)), bits=8, NumberOfFrames=3, Rows=HEIGHT)
ANIMATED = picture(
    Image.fromarray(ramp(8, np.uint8)), save_all=True, append_images=[Image.fromarray(255 - ramp(8, np.uint8))]
)
_NOTES = PngInfo()
_NOTES.add_text("Comment", "x" * 3_000_000, zip=True)
WORDY = picture(Image.fromarray(ramp(8, np.uint8)), pnginfo=_NOTES)
TWO_BITS = dicom(ramp(8, np.uint8) // 64, bits=2)
NO_PIXELS = dicom(ramp(12))
del NO_PIXELS.PixelData
NO_IMAGE = dicom(ramp(12))
del NO_IMAGE.PixelData, NO_IMAGE.Rows, NO_IMAGE.Columns
HUGE = dicom(ramp(12), Rows=65000, Columns=65000)
COMPRESSED = as_bytes(dicom(ramp(12), transfer_syntax=pydicom.uid.JPEG2000Lossless))
PIXELS_AT = COMPRESSED.index(b"\xe0\x7f\x10\x00")
TOO_SHORT = dicom(ramp(12))
TOO_SHORT.PixelData = TOO_SHORT.PixelData[:100]
STRANGE = dicom(ramp(12), photometric="HSV")
NO_ROWS = dicom(ramp(12))
del NO_ROWS.Rows


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"hello, world" * 100, "neither DICOM nor PNG nor JPEG"),
        (b"GIF89a" + b"\0" * 500, "neither DICOM nor PNG nor JPEG"),
        (as_bytes(MULTI_FRAME), "has 3 frames: expected a single image"),
        (ANIMATED, "has 2 frames: expected a single image"),
        (as_bytes(TWO_BITS), "2 bits a pixel: expected 8 to 16"),
        (as_bytes(NO_IMAGE), "DICOM without an image"),
        (as_bytes(NO_PIXELS), "damaged DICOM: the file ends before its 48x40 pixels are complete"),
        (as_bytes(HUGE), r"\d+x\d+ pixels, too many for a radiograph: expected at most 89,478,485 in all"),
        (COMPRESSED[: PIXELS_AT - 1], "damaged DICOM"),
        (COMPRESSED[:PIXELS_AT], "damaged DICOM"),
        (COMPRESSED[: PIXELS_AT + 9], "damaged DICOM"),
        (COMPRESSED[:-40], "damaged DICOM"),
        (COMPRESSED.replace(b"\xff\x51", b"\x11\x22"), "DICOM that can't be decoded"),
        (COMPRESSED.replace(b"\0\0\0\x28\0\0\0\x30", b"\x24\0\0\x28\0\0\0\x30"), "are of 48x603979816 pixels"),
        (picture(Image.fromarray(ramp(8, np.uint8)[:2, :1])), "2x1 pixels, too small for a radiograph: expected at le"),
        (as_bytes(dicom(ramp(12)[:, :15])), "48x15 pixels, too small for a radiograph"),
        (as_bytes(TOO_SHORT), "damaged DICOM: [0-9,]+ bytes of pixels: expected 3,840, as its header says"),
        (as_bytes(STRANGE), "photometric interpretation HSV"),
        (as_bytes(NO_ROWS), "DICOM that can't be decoded"),
        (as_bytes(dicom(np.full((19, 19), 7, np.uint16))), "blank"),
        (picture(Image.new("L", (19, 19), 7)), "blank"),
        (WORDY, "has more text or a larger colour profile than can be read: expected an image saved without them"),
        (picture(Image.fromarray(ramp(8, np.uint8)))[:-40], "damaged"),
    ],
)
def test_what_is_no_single_grey_image_is_refused_in_one_line(data: bytes, said: str) -> None:
    for suffix in (".png", ".gif") if data[:3] == b"GIF" else (".dcm", ""):
        with pytest.raises(UnreadableImage, match=said) as caught:
            decode(data, suffix)
        assert "\n" not in str(caught.value)


def test_a_picture_too_large_to_be_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_MOST_PIXELS", 100)
    with pytest.raises(UnreadableImage, match=r"\d+x\d+ pixels, too many for a radiograph: expected at most 100"):
        decode(picture(Image.fromarray(ramp(8, np.uint8))), ".png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # so many more that Pillow itself does not open it
    with pytest.raises(UnreadableImage, match="too many pixels for a radiograph: expected at most 100"):
        decode(picture(Image.fromarray(ramp(8, np.uint8))), ".png")


def test_a_reason_is_never_cut_within_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(dataset: Dataset) -> None:
        raise ValueError("wholeword " * 40)

    monkeypatch.setattr(decoding, "_displayed", fail)
    with pytest.raises(UnreadableImage, match=r"^DICOM that can't be decoded: (wholeword )+\.\.\.$"):
        decode(WHOLE[0], ".dcm")


def test_a_file_that_isn_t_there_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="No such file"):
        read_radiograph(tmp_path / "absent.dcm")


WHOLE = [
    as_bytes(dicom(ramp(12), transfer_syntax=pydicom.uid.RLELossless, WindowCenter=5, WindowWidth=9)),
    as_bytes(dicom(ramp(12), transfer_syntax=pydicom.uid.ImplicitVRLittleEndian)),
    picture(Image.fromarray(ramp(8, np.uint8))),
    picture(Image.fromarray(ramp(8, np.uint8)), "JPEG"),
]


@given(whole=st.sampled_from(WHOLE), cut=st.floats(0, 1), at=st.floats(0, 1), junk=st.binary(min_size=1, max_size=12))
def test_damage_anywhere_gives_an_image_or_a_reason_and_nothing_else(
    whole: bytes, cut: float, at: float, junk: bytes
) -> None:
    start = int(at * len(whole))
    damaged = (whole[:start] + junk + whole[start + len(junk) :])[: int(cut * len(whole))]
    try:
        found = decode(damaged, ".dcm")
    except UnreadableImage:
        return
    assert isinstance(found, Radiograph)
    assert found.pixels.dtype == np.uint8
    assert found.pixels.ndim == 2
