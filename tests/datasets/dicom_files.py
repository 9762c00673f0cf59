"""DICOM files made for tests: real bytes in every transfer syntax that can be encoded here."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

COMPUTED_RADIOGRAPHY = "1.2.840.10008.5.1.4.1.1.1"
# What identifies a person, and must never turn up outside the file.
IDENTIFYING = {
    "PatientName": "Doe^Jane",
    "PatientID": "MRN-0042",
    "PatientBirthDate": "19580317",
    "AccessionNumber": "ACC-777",
    "InstitutionName": "St Elsewhere",
    "StudyDate": "20190102",
}


def dicom(
    pixels: np.ndarray,
    *,
    bits: int = 12,
    photometric: str = "MONOCHROME2",
    transfer_syntax: str = ExplicitVRLittleEndian,
    **tags: Any,
) -> FileDataset:
    """A radiograph of `pixels`, uint8, uint16 or int16 [height, width] (or [..., 3] in colour), with such tags."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = COMPUTED_RADIOGRAPHY
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["rustk"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality = "CR"
    for keyword, value in IDENTIFYING.items():
        setattr(dataset, keyword, value)
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    if transfer_syntax in _PLAIN:
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(transfer_syntax)
    else:
        dataset.compress(transfer_syntax, encoding_plugin=_ENCODERS[transfer_syntax], generate_instance_uid=False)
    return dataset


_PLAIN = (
    pydicom.uid.ImplicitVRLittleEndian,
    pydicom.uid.ExplicitVRLittleEndian,
    pydicom.uid.DeflatedExplicitVRLittleEndian,
)
_ENCODERS = {
    pydicom.uid.RLELossless: "pydicom",
    pydicom.uid.JPEGLSLossless: "pyjpegls",
    pydicom.uid.JPEGLSNearLossless: "pyjpegls",
    pydicom.uid.JPEG2000Lossless: "pylibjpeg",
    pydicom.uid.JPEG2000: "pylibjpeg",
}


def as_bytes(dataset: FileDataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def transcoded(dataset: FileDataset, syntax: str, folder: Path) -> bytes:
    """The same image as GDCM writes it, for what pydicom can't write. `syntax` is a name of gdcm.TransferSyntax."""
    import gdcm

    source, target = folder / "source.dcm", folder / "target.dcm"
    source.write_bytes(as_bytes(dataset))
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return target.read_bytes()
