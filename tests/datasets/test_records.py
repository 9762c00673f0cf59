"""Datasets written and read back: whole or not at all, and whatever is corrupt named."""

import hashlib
import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rustk.datasets.reading import encode_labels, open_dataset, read_split
from rustk.datasets.records import Sample, write_dataset
from rustk.datasets.tfrecord import Example, decode_example, encode_example, frame, iter_framed
from rustk.store import Store, open_store
from rustk.store.datasets import dataset_digest, read_dataset, read_index
from rustk.store.documents import DatasetDocument
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.instrument import Instrument
from tests.instruments import MRUST, ODD, SINGLE

HEIGHT, WIDTH = 12, 16


def png_of(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def make_samples(develop: int = 11, test: int = 3, seed: int = 0, instrument: Instrument = MRUST) -> list[Sample]:
    generator = np.random.default_rng(seed)
    samples = []
    for number in range(develop + test):
        view = instrument.views[number % len(instrument.views)]
        shown = [site for site in instrument.sites if instrument.shows(view, site.name)]
        if instrument == MRUST:
            shown = shown[:2] if view == "ap" else shown[2:]
        scores: dict[str, int | None] = dict.fromkeys(site.name for site in shown)
        scores[shown[0].name] = int(generator.choice(shown[0].scores))
        pixels = generator.integers(0, 256, (HEIGHT, WIDTH), np.uint8)
        split = "develop" if number < develop else "test"
        samples.append(
            Sample(
                f"s{number:03d}", split, f"p{number // 2}", f"v{number // 2}", view, scores, png_of(pixels), "0" * 16
            )
        )
    return samples


def write(store: Store, samples: list[Sample], **options: Any) -> DatasetDocument:
    counts = {split: sum(sample.split == split for sample in samples) for split in ("develop", "test")}
    arguments: dict[str, Any] = {
        "instrument": MRUST,
        "counts": counts,
        "image_shape": (HEIGHT, WIDTH, 1),
        "shards": {"develop": 3, "test": 2},
    } | options
    return write_dataset(store, "tiny", samples, **arguments)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def test_what_was_written_is_read_back_in_order(store: Store) -> None:
    samples = make_samples()
    # Splits may come mixed: only the order within a split counts.
    document = write(store, samples[::2] + samples[1::2])
    assert document == open_dataset(store, "tiny", document.digest)
    for split in ("develop", "test"):
        mine = [sample for sample in samples[::2] + samples[1::2] if sample.split == split]
        read = read_split(store, document, split)
        assert read.sample_ids == tuple(sample.sample_id for sample in mine)
        assert read.images.shape == (len(mine), HEIGHT, WIDTH)
        for image, label, sample in zip(read.images, read.labels, mine, strict=True):
            np.testing.assert_array_equal(image, np.array(Image.open(io.BytesIO(sample.png))))
            assert tuple(label) == MRUST.encode(sample.view, sample.scores)


def test_the_document_describes_the_shards(store: Store) -> None:
    document = write(
        store, make_samples(), preparation={"resize": "stretch"}, skipped=[{"row": 3}], source={"kind": "test"}
    )
    assert document.counts == {"develop": 11, "test": 3}
    assert document.patients == {"develop": 6, "test": 2}
    assert [(shard.key, shard.records) for shard in document.shards] == [
        ("develop-00000-of-00003.tfrecord", 4),
        ("develop-00001-of-00003.tfrecord", 4),
        ("develop-00002-of-00003.tfrecord", 3),
        ("test-00000-of-00002.tfrecord", 2),
        ("test-00001-of-00002.tfrecord", 1),
    ]
    for shard in document.shards:
        data = store.read(names.dataset_shard_key("tiny", shard.key))
        assert (len(data), hashlib.sha256(data).hexdigest()) == (shard.bytes, shard.sha256)
    assert document.digest == dataset_digest(
        document.image_shape, reversed(document.shards), document.index_sha256, MRUST
    )
    assert (document.preparation, document.skipped, document.source) == (
        {"resize": "stretch"},
        ({"row": 3},),
        {"kind": "test"},
    )
    index = read_index(store, document, "develop")
    assert encode_labels(index, MRUST).shape == (11, 18)
    assert index["position"].to_pylist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2]


def test_equal_samples_give_an_equal_digest_and_other_ones_another(store: Store, tmp_path: Path) -> None:
    again = open_store(str(tmp_path / "again"))
    assert write(store, make_samples()).digest == write(again, make_samples()).digest
    third = open_store(str(tmp_path / "third"))
    assert write(store, make_samples()).digest != write(third, make_samples(seed=1)).digest


def test_another_dataset_of_the_same_name_is_only_replaced_when_asked(store: Store) -> None:
    first = write(store, make_samples())
    with pytest.raises(BadStudy, match="is another one"):
        write(store, make_samples(seed=1))
    assert read_dataset(store, "tiny").digest == first.digest
    second = write(store, make_samples(seed=1), shards={"develop": 2, "test": 1}, replace=True)
    assert read_dataset(store, "tiny").digest == second.digest
    shards = [entry.key for entry in store.list("datasets/tiny/") if entry.key.endswith(".tfrecord")]
    assert shards == [names.dataset_shard_key("tiny", shard.key) for shard in second.shards]


def test_a_dataset_whose_samples_break_off_is_not_there(store: Store) -> None:
    def breaking() -> Iterator[Sample]:
        yield from make_samples()[:5]
        raise OSError("the disk with the images went away")

    of: dict[str, Any] = {"instrument": MRUST, "image_shape": (HEIGHT, WIDTH, 1)}
    with pytest.raises(OSError, match="went away"):
        write_dataset(store, "tiny", breaking(), counts={"develop": 11, "test": 3}, **of)
    assert store.list("") == []
    with pytest.raises(ValueError, match="5 samples of the split develop: 11 were announced"):
        write_dataset(store, "tiny", make_samples()[:5], counts={"develop": 11, "test": 0}, **of)
    assert store.list("") == []
    with pytest.raises(BadData, match="has no dataset 'tiny'"):
        read_dataset(store, "tiny")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"view": "oblique"}, "sample bad: view 'oblique': expected ap or lateral"),
        ({"scores": {"medial": 5}}, "sample bad: medial score 5"),
        ({"png": b"GIF89a"}, "sample bad: its image is not a PNG"),
        (
            {"png": png_of(np.zeros((WIDTH, HEIGHT), np.uint8))},
            "its PNG is 16x12, 8 bit, colour type 0: expected 12x16",
        ),
        ({"png": png_of(np.zeros((HEIGHT, WIDTH, 3), np.uint8))}, "colour type 2: expected 12x16, 8 bit, grey"),
        ({"sample_id": "s000"}, "sample s000 comes twice"),
    ],
)
def test_a_sample_that_cannot_be_stored_is_named(store: Store, change: dict[str, Any], message: str) -> None:
    samples = make_samples()
    values = {"sample_id": "bad", **{k: v for k, v in vars(samples[1]).items() if k != "sample_id"}} | change
    samples[1] = Sample(**values)
    with pytest.raises(BadData, match=message):
        write(store, samples)
    assert store.list("") == []


def reframed(data: bytes, position: int, change: Any) -> bytes:
    """A shard whose record `position` is changed, its checksums as they were."""
    at = 0
    for _ in range(position):
        at += 16 + struct.unpack_from("<Q", data, at)[0]
    length = struct.unpack_from("<Q", data, at)[0]
    return data[: at + 12] + change(data[at + 12 : at + 12 + length]) + data[at + 12 + length :]


def test_a_flipped_byte_names_shard_and_record(store: Store) -> None:
    document = write(store, make_samples())
    key = names.dataset_shard_key("tiny", "develop-00001-of-00003.tfrecord")
    whole = store.read(key)
    store.write(key, reframed(whole, 2, lambda record: record[:30] + bytes([record[30] ^ 1]) + record[31:]))
    with pytest.raises(BadData, match=r"develop-00001-of-00003.tfrecord, record 2 is corrupt \(sha256 is") as caught:
        read_split(store, document, "develop")
    assert caught.value.exit_code == 65
    store.write(key, whole[:-40])
    with pytest.raises(BadData, match=r"develop-00001-of-00003.tfrecord, record 3 is corrupt"):
        read_split(store, document, "develop")
    store.write(key, store.read(names.dataset_shard_key("tiny", "develop-00000-of-00003.tfrecord")))
    with pytest.raises(BadData, match=r"is another file than the one of dataset\.json"):
        read_split(store, document, "develop")
    assert len(read_split(store, document, "test").sample_ids) == 3


def with_shard(document: DatasetDocument, store: Store, name: str, data: bytes) -> DatasetDocument:
    """The document as somebody would have written it for that shard: its digest is right, its content is not."""
    store.write(names.dataset_shard_key("tiny", name), data)
    digest = {"sha256": hashlib.sha256(data).hexdigest()}
    shards = [shard.model_copy(update=digest) if shard.key == name else shard for shard in document.shards]
    return document.model_copy(update={"shards": tuple(shards)})


def test_a_record_that_is_no_sample_is_named(store: Store) -> None:
    document = write(store, make_samples())
    name = "develop-00000-of-00003.tfrecord"
    whole = store.read(names.dataset_shard_key("tiny", name))
    garbled = with_shard(document, store, name, reframed(whole, 1, lambda record: b"\xff" * len(record)))
    with pytest.raises(BadData, match=rf"{name}, record 1 is not a tf.train.Example"):
        read_split(store, garbled, "develop")
    renamed = with_shard(document, store, name, reframed(whole, 1, lambda record: record.replace(b"view", b"veiw")))
    with pytest.raises(BadData, match=rf"{name}, record 1 has no feature view"):
        read_split(store, renamed, "develop")
    unseen = with_shard(
        document, store, name, reframed(whole, 1, lambda record: record.replace(b"lateral", b"literal"))
    )
    with pytest.raises(BadData, match=rf"{name}, record 1: view 'literal'"):
        read_split(store, unseen, "develop")
    no_png = with_shard(document, store, name, reframed(whole, 3, lambda record: record.replace(b"IDAT", b"IDOT")))
    with pytest.raises(BadData, match=rf"{name}, record 3: its PNG can't be decoded"):
        read_split(store, no_png, "develop")
    smaller = document.model_copy(update={"image_shape": (HEIGHT, WIDTH - 1, 1)})
    store.write(names.dataset_shard_key("tiny", name), whole)
    with pytest.raises(BadData, match=rf"{name}, record 0: its image is 12x16: dataset.json says 12x15"):
        read_split(store, smaller, "develop")


def test_a_damaged_index_or_document_is_refused(store: Store) -> None:
    document = write(store, make_samples())
    with pytest.raises(BadData, match="it was replaced since; submit a new run"):
        open_dataset(store, "tiny", "0" * 64)
    key = names.dataset_index_key("tiny")
    store.write(key, store.read(key)[:-1] + b"x")
    with pytest.raises(BadData, match=r"index.parquet has sha256"):
        read_split(store, document, "develop")


@pytest.mark.parametrize("instrument", [ODD, SINGLE])
def test_any_instrument_is_written_and_read_back(instrument: Instrument, store: Store) -> None:
    samples = make_samples(instrument=instrument)
    if not instrument.unscored:
        assert all(None not in sample.scores.values() for sample in samples)
    document = write(store, samples, instrument=instrument)
    assert read_dataset(store, "tiny").instrument == instrument
    for split in ("develop", "test"):
        mine = [sample for sample in samples if sample.split == split]
        read = read_split(store, document, split)
        assert read.labels.shape == (len(mine), len(instrument.labels))
        assert [tuple(label) for label in read.labels] == [instrument.encode(s.view, s.scores) for s in mine]


def test_what_scores_mean_is_a_part_of_the_digest(store: Store, tmp_path: Path) -> None:
    renamed = MRUST.model_copy(update={"title": "Another title"})
    narrower = MRUST.model_copy(update={"unscored": False})
    digests = {}
    for name, instrument in (("mrust", MRUST), ("renamed", renamed), ("narrower", narrower)):
        document = write(open_store(str(tmp_path / name)), make_samples(), instrument=instrument)
        digests[name] = document.digest
    assert digests["renamed"] == digests["mrust"]
    assert digests["narrower"] != digests["mrust"]


def test_a_damaged_dataset_is_only_replaced_when_asked(store: Store) -> None:
    document = write(store, make_samples())
    store.write(names.dataset_key("tiny"), b"null")
    with pytest.raises(BadData, match=r"datasets/tiny/dataset\.json"):
        write(store, make_samples())
    assert write(store, make_samples(), replace=True) == document == read_dataset(store, "tiny")


def test_a_record_with_two_scores_of_one_site_is_refused(store: Store) -> None:
    document = write(store, make_samples())
    name = document.shards[0].key
    whole = store.read(names.dataset_shard_key("tiny", name))
    first = decode_example(next(iter_framed(whole)))
    doubled = frame(encode_example(Example(first.texts, {"medial": [1, 2]})))
    rest = whole[16 + int.from_bytes(whole[:8], "little") :]
    with pytest.raises(BadData, match="record 0: medial has 2 scores: expected at most one"):
        read_split(store, with_shard(document, store, name, doubled + rest), "develop")
