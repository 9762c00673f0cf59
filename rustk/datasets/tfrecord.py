"""TFRecord files of tf.train.Example, byte for byte as TensorFlow writes them, without TensorFlow.

A record is its length (8 bytes, little endian), that length's checksum, the data, and the data's checksum. A checksum
is a CRC-32C, rotated and offset so that the CRC of data that hold CRCs stays a good one:
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rustk.datasets.packages import missing_package

try:
    import google_crc32c
    from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
except ImportError as error:
    raise missing_package(error) from error

_MASK_DELTA = 0xA282EAD8
_FIELD = descriptor_pb2.FieldDescriptorProto


class NotAnExample(ValueError):
    """Bytes that are no tf.train.Example."""


@dataclass(frozen=True)
class Example:
    """The features of one record: byte strings and whole numbers by name. A record's floats are not read."""

    texts: Mapping[str, Sequence[bytes]]
    integers: Mapping[str, Sequence[int]]


def frame(data: bytes) -> bytes:
    """One record of a TFRecord file: `data` with its length and checksums."""
    length = len(data).to_bytes(8, "little")
    return length + _checksum(length) + data + _checksum(data)


def iter_framed(data: bytes) -> Iterator[bytes]:
    """The records of a TFRecord file whose bytes are known to be right; checksums are not looked at.

    Raises ValueError where the framing does not add up.
    """
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 8], "little")
        end = at + 12 + length
        if end + 4 > len(data):
            raise ValueError(f"a record at byte {at} says that it is {length} bytes long: the file ends before that")
        yield data[at + 12 : end]
        at = end + 4


def count_intact(data: bytes) -> tuple[int, bool]:
    """How many records from the first one on have right checksums, and whether the file ends after the last of them."""
    at, intact = 0, 0
    while at < len(data):
        header = data[at : at + 8]
        end = at + 12 + int.from_bytes(header, "little")
        if data[at + 8 : at + 12] != _checksum(header) or data[end : end + 4] != _checksum(data[at + 12 : end]):
            return intact, False
        intact += 1
        at = end + 4
    return intact, True


def encode_example(example: Example) -> bytes:
    """A tf.train.Example as bytes; equal examples give equal bytes."""
    encoded = _EXAMPLE()
    # A part that is empty is there all the same, as it is where TensorFlow's classes are given one.
    encoded.features.SetInParent()
    for name, texts in example.texts.items():
        encoded.features.feature[name].bytes_list.SetInParent()
        encoded.features.feature[name].bytes_list.value.extend(texts)
    for name, integers in example.integers.items():
        encoded.features.feature[name].int64_list.SetInParent()
        encoded.features.feature[name].int64_list.value.extend(integers)
    # Maps have no order of their own in a protocol buffer; without this, equal datasets could differ in their digests.
    data: bytes = encoded.SerializeToString(deterministic=True)
    return data


def decode_example(data: bytes) -> Example:
    """The inverse of `encode_example`. Raises NotAnExample."""
    try:
        features = _EXAMPLE.FromString(data).features.feature
    except message.DecodeError as error:
        raise NotAnExample(str(error)) from None
    return Example(
        {name: list(feature.bytes_list.value) for name, feature in features.items() if feature.HasField("bytes_list")},
        {name: list(feature.int64_list.value) for name, feature in features.items() if feature.HasField("int64_list")},
    )


def _checksum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    rotated = (crc >> 15 | crc << 17) & 0xFFFFFFFF
    return ((rotated + _MASK_DELTA) & 0xFFFFFFFF).to_bytes(4, "little")


def _example_class() -> Any:
    """tf.train.Example's class, from descriptors that are in nobody else's pool: TensorFlow, which has its own, may be
    imported into the same process.
    """
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="tensorflow", syntax="proto3")
    for name, kind, packed in (
        ("BytesList", _FIELD.TYPE_BYTES, None),
        ("FloatList", _FIELD.TYPE_FLOAT, True),
        ("Int64List", _FIELD.TYPE_INT64, True),
    ):
        value = file.message_type.add(name=name).field.add(
            name="value", number=1, type=kind, label=_FIELD.LABEL_REPEATED
        )
        if packed is not None:
            value.options.packed = packed
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, kind_name in enumerate(("bytes_list", "float_list", "int64_list"), start=1):
        type_name = ".tensorflow." + "".join(part.capitalize() for part in kind_name.split("_"))
        feature.field.add(
            name=kind_name,
            number=number,
            type=_FIELD.TYPE_MESSAGE,
            type_name=type_name,
            label=_FIELD.LABEL_OPTIONAL,
            oneof_index=0,
        )
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    entry.field.add(
        name="value",
        number=2,
        type=_FIELD.TYPE_MESSAGE,
        type_name=".tensorflow.Feature",
        label=_FIELD.LABEL_OPTIONAL,
    )
    features.field.add(
        name="feature",
        number=1,
        type=_FIELD.TYPE_MESSAGE,
        type_name=".tensorflow.Features.FeatureEntry",
        label=_FIELD.LABEL_REPEATED,
    )
    file.message_type.add(name="Example").field.add(
        name="features",
        number=1,
        type=_FIELD.TYPE_MESSAGE,
        type_name=".tensorflow.Features",
        label=_FIELD.LABEL_OPTIONAL,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


_EXAMPLE = _example_class()
