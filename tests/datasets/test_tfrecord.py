"""TFRecords without TensorFlow: the bytes that TensorFlow writes, and what TensorFlow reads."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.datasets.tfrecord import (
    Example,
    NotAnExample,
    count_intact,
    decode_example,
    encode_example,
    frame,
    iter_framed,
)

EXAMPLES = st.builds(
    Example,
    st.dictionaries(st.text(max_size=5).map("t{}".format), st.lists(st.binary(max_size=40), max_size=3), max_size=4),
    st.dictionaries(
        st.text(max_size=5).map("i{}".format), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4), max_size=4
    ),
)


@given(st.lists(EXAMPLES, max_size=4))
def test_what_was_encoded_is_decoded(examples: list[Example]) -> None:
    data = b"".join(frame(encode_example(example)) for example in examples)
    assert count_intact(data) == (len(examples), True)
    for example, record in zip(examples, iter_framed(data), strict=True):
        assert decode_example(record) == example


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=4), st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_or_a_cut_is_found(records: list[bytes], at: int, change: int) -> None:
    framed = [frame(record) for record in records]
    data = b"".join(framed)
    at %= len(data)
    damaged = data[:at] + bytes([data[at] ^ change]) + data[at + 1 :]
    hit = next(n for n in range(len(framed)) if at < sum(map(len, framed[: n + 1])))
    assert count_intact(damaged) == (hit, False)
    assert count_intact(data[:at])[0] == hit


def test_bytes_that_are_no_example_are_refused() -> None:
    with pytest.raises(NotAnExample):
        decode_example(b"\xff" * 30)
    with pytest.raises(ValueError, match="the file ends before that"):
        list(iter_framed(frame(b"abc")[:-1]))


@pytest.mark.tensorflow
def test_the_bytes_are_tensorflows(tmp_path: Path) -> None:
    import tensorflow as tf

    examples = [
        Example({}, {}),
        Example({"view": [b"ap"], "image": [bytes(range(256)) * 99], "sample_id": [b"s1"]}, {"medial": [4]}),
        Example({"\u00e9": ["\u00e9\0".encode(), b""], "b": []}, {"z": [-1, 2**63 - 1, 0], "a": [0], "none": []}),
    ]
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_bytes(b"".join(frame(encode_example(example)) for example in examples))
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for example in examples:
            features = {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
                for name, values in example.texts.items()
            } | {
                name: tf.train.Feature(int64_list=tf.train.Int64List(value=values))
                for name, values in example.integers.items()
            }
            made = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(made.SerializeToString(deterministic=True))
    assert ours.read_bytes() == theirs.read_bytes()
    read = [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(ours))]
    assert read[1].features.feature["medial"].int64_list.value == [4]
