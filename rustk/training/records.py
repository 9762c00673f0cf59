"""Datasets in the store: writing them whole, and reading them back with every digest verified.

A dataset is `dataset.json`, `index.parquet` and TFRecord shards of `tf.train.Example`. `dataset.json` is written last,
so that its presence means that the dataset is whole.
"""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rustk.store import Store
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.labels import CORTICES, encode_label
from rustk.vocabulary.schemas import INDEX

SPLITS = ("develop", "test")
DEFAULT_SHARDS = {"develop": 8, "test": 2}

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Sample:
    """One image on its way into a dataset.

    `png` is an 8-bit grey PNG of the dataset's height and width; `scores` maps a cortex to 1-4, or to None where it is
    unscored; `patient` is a salted hash; `visit` joins the two views of one visit; `phash` is 16 hex digits.
    """

    sample_id: str
    split: str
    patient: str | None
    visit: str | None
    view: str
    scores: Mapping[str, int | None]
    png: bytes
    phash: str | None = None


@dataclass
class _SplitWriter:
    """The shards of one split, filled one after the other; image i of n goes to shard i * shards // n."""

    split: str
    count: int
    shards: int
    folder: Path
    written: int = 0
    open_shard: int = -1
    writer: Any = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    records: dict[str, int] = field(default_factory=dict)

    def add(self, sample: Sample) -> None:
        import tensorflow as tf

        if self.written == self.count:
            raise ValueError(f"more than the {self.count} samples announced for the split {self.split}")
        shard = self.written * self.shards // self.count
        name = names.shard_name(self.split, shard, self.shards)
        if shard != self.open_shard:
            self.close()
            self.writer = tf.io.TFRecordWriter(str(self.folder / name))
            self.open_shard = shard
            self.records[name] = 0
        self.writer.write(_encode_example(sample))
        self.rows.append(
            {
                "sample_id": sample.sample_id,
                "split": sample.split,
                "patient": sample.patient,
                "visit": sample.visit,
                "view": sample.view,
                **{cortex: sample.scores.get(cortex) for cortex in CORTICES},
                "shard": name,
                "position": self.records[name],
                "image_sha256": hashlib.sha256(sample.png).hexdigest(),
                "image_phash": sample.phash,
            }
        )
        self.records[name] += 1
        self.written += 1

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def write_dataset(
    store: Store,
    name: str,
    samples: Iterable[Sample],
    *,
    counts: Mapping[str, int],
    image_shape: tuple[int, int, int],
    shards: Mapping[str, int] = DEFAULT_SHARDS,
    preparation: Mapping[str, Any] | None = None,
    skipped: Iterable[Any] = (),
    source: Mapping[str, Any] | None = None,
    replace: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write a dataset, whole or not at all, and return its `dataset.json`.

    `samples` is consumed once, in one stream; within a split their order is the order of the records. `counts` says how
    many samples of each split will come (they are cut into `shards[split]` runs of equal length, fewer if there are
    fewer samples). `progress(done, total)` is called after every sample. An equal dataset that is there already is
    left as it is; another one of the same name is only replaced if `replace` says so.

    Raises BadStudy for a name that can't be one or is taken, BadData for a sample that can't be stored, and ValueError
    if the samples are not as many as announced.
    """
    if not names.is_name(name):
        raise BadStudy(f"dataset name {name!r}: expected lower-case letters, digits and dashes, at most 63")
    if unknown := sorted(set(counts) - set(SPLITS)):
        raise ValueError(f"split {unknown[0]!r}: expected {' or '.join(SPLITS)}")
    total = sum(counts.values())
    with tempfile.TemporaryDirectory(prefix="rustk-dataset-") as folder_name:
        folder = Path(folder_name)
        writers = {
            split: _SplitWriter(split, counts[split], min(shards[split], counts[split]), folder)
            for split in SPLITS
            if counts.get(split, 0) > 0
        }
        seen: set[str] = set()
        try:
            for done, sample in enumerate(samples, start=1):
                _check_sample(sample, image_shape, seen)
                if sample.split not in writers:
                    raise ValueError(f"sample {sample.sample_id} of the split {sample.split}: none was announced")
                writers[sample.split].add(sample)
                if progress is not None:
                    progress(done, total)
        finally:
            for writer in writers.values():
                writer.close()
        for split, writer in writers.items():
            if writer.written != writer.count:
                raise ValueError(f"{writer.written} samples of the split {split}: {writer.count} were announced")

        index = _encode_index([row for writer in writers.values() for row in writer.rows])
        document = _describe(name, image_shape, writers, index, preparation or {}, list(skipped), source or {})
        _store_dataset(store, document, index, folder, replace)
    return document


def _check_sample(sample: Sample, image_shape: tuple[int, int, int], seen: set[str]) -> None:
    if sample.sample_id in seen:
        raise BadData(f"sample {sample.sample_id} comes twice: expected every sample_id once")
    seen.add(sample.sample_id)
    try:
        encode_label(sample.view, sample.scores)
    except ValueError as error:
        raise BadData(f"sample {sample.sample_id}: {error}") from None
    height, width, _ = image_shape
    header = sample.png[:26]
    if header[:8] != _PNG_SIGNATURE or header[12:16] != b"IHDR":
        raise BadData(f"sample {sample.sample_id}: its image is no PNG")
    found = (int.from_bytes(header[20:24]), int.from_bytes(header[16:20]))
    if found != (height, width) or header[24] != 8 or header[25] != 0:
        raise BadData(
            f"sample {sample.sample_id}: its PNG is {found[0]}x{found[1]}, {header[24]} bit, colour type {header[25]}: "
            f"expected {height}x{width}, 8 bit, grey (0)"
        )


def _encode_example(sample: Sample) -> bytes:
    import tensorflow as tf

    def of_bytes(value: bytes) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    features = {
        "sample_id": of_bytes(sample.sample_id.encode()),
        "image": of_bytes(sample.png),
        "view": of_bytes(sample.view.encode()),
    }
    for cortex, score in sample.scores.items():
        if score is not None:
            features[cortex] = tf.train.Feature(int64_list=tf.train.Int64List(value=[score]))
    example = tf.train.Example(features=tf.train.Features(feature=features))
    # Maps have no order of their own in a protocol buffer; without this, equal datasets could differ in their digests.
    encoded: bytes = example.SerializeToString(deterministic=True)
    return encoded


def _encode_index(rows: list[dict[str, Any]]) -> bytes:
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=INDEX), buffer)
    encoded: bytes = buffer.getvalue().to_pybytes()
    return encoded


def _describe(
    name: str,
    image_shape: tuple[int, int, int],
    writers: Mapping[str, _SplitWriter],
    index: bytes,
    preparation: Mapping[str, Any],
    skipped: list[Any],
    source: Mapping[str, Any],
) -> dict[str, Any]:
    shards = []
    for split, writer in writers.items():
        for key, records in writer.records.items():
            data = (writer.folder / key).read_bytes()
            sha256 = hashlib.sha256(data).hexdigest()
            shards.append({"key": key, "split": split, "records": records, "bytes": len(data), "sha256": sha256})
    patients: dict[str, int | None] = {}
    for split in SPLITS:
        known = {row["patient"] for row in writers[split].rows} - {None} if split in writers else set()
        patients[split] = len(known) or None
    index_sha256 = hashlib.sha256(index).hexdigest()
    return {
        "schema": 1,
        "name": name,
        "image_shape": list(image_shape),
        "shards": shards,
        "counts": {split: writers[split].count if split in writers else 0 for split in SPLITS},
        "patients": patients,
        "index_sha256": index_sha256,
        "preparation": dict(preparation),
        "skipped": skipped,
        "source": dict(source),
        "digest": dataset_digest(image_shape, shards, index_sha256),
    }


def dataset_digest(image_shape: Iterable[int], shards: Iterable[Mapping[str, Any]], index_sha256: str) -> str:
    """What decides a dataset's content: its image shape, and the digests of its shards and of its index."""
    content = [list(image_shape), sorted([shard["key"], shard["sha256"]] for shard in shards), index_sha256]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _store_dataset(store: Store, document: dict[str, Any], index: bytes, folder: Path, replace: bool) -> None:
    name = document["name"]
    if store.exists(names.dataset_key(name)):
        there = json.loads(store.read(names.dataset_key(name)))
        if there.get("digest") == document["digest"]:
            return
        if not replace:
            raise BadStudy(
                f"dataset {name} in the store {store.url} is another one (digest {str(there.get('digest'))[:12]}, the "
                f"new one has {document['digest'][:12]}): choose another name, or say that it is to be replaced"
            )
        # From here until the new dataset.json is in place there is no dataset of this name, rather than a mixture.
        store.delete(names.dataset_key(name))
    keep = {shard["key"] for shard in document["shards"]}
    for entry in store.list(names.dataset_shard_key(name, "")):
        if entry.key.endswith(".tfrecord") and entry.key.rpartition("/")[2] not in keep:
            store.delete(entry.key)
    for shard in document["shards"]:
        store.write(names.dataset_shard_key(name, shard["key"]), (folder / shard["key"]).read_bytes())
    store.write(names.dataset_index_key(name), index)
    store.write(names.dataset_key(name), (json.dumps(document, indent=1) + "\n").encode())


def iter_framed(data: bytes) -> Iterator[bytes]:
    """The records of a TFRecord file whose bytes are known to be right (length, its CRC, data, its CRC).

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
