"""Writing a dataset into a store, whole or not at all.

A dataset is `dataset.json`, `index.parquet` and TFRecord shards of `tf.train.Example`. `dataset.json` is written last,
so that its presence means that the dataset is whole.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from rustk.datasets.tfrecord import Example, encode_example, frame
from rustk.store import Store
from rustk.store.datasets import SPLITS, dataset_digest
from rustk.store.documents import DatasetDocument, Shard, read_document, write_document
from rustk.vocabulary import names
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadData, BadStudy, RustkError
from rustk.vocabulary.instrument import Instrument
from rustk.vocabulary.parquet import encode_parquet
from rustk.vocabulary.schemas import index_schema

DEFAULT_SHARDS = {"develop": 8, "test": 2}

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Sample:
    """One image on its way into a dataset.

    `png` is an 8-bit grey PNG of the dataset's height and width; `scores` maps a site to its score, or to None where it
    is unscored; `patient` is a salted hash; `visit` joins the views of one visit; `phash` is 16 hex digits.
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
    file: BinaryIO | None = None
    files: list[str] = field(default_factory=list)  # of the shards, in order
    records: list[int] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, sample: Sample, site_names: Iterable[str]) -> None:
        if self.written == self.count:
            raise ValueError(f"more than the {self.count} samples announced for the split {self.split}")
        name = names.shard_name(self.split, self.written * self.shards // self.count, self.shards)
        if self.file is None or self.files[-1] != name:
            self.close()
            self.file = (self.folder / name).open("wb")
            self.files.append(name)
            self.records.append(0)
        self.file.write(frame(_encode_sample(sample)))
        self.rows.append(
            {
                "sample_id": sample.sample_id,
                "split": sample.split,
                "patient": sample.patient,
                "visit": sample.visit,
                "view": sample.view,
                **{site: sample.scores.get(site) for site in site_names},
                "shard": name,
                "position": self.records[-1],
                "image_sha256": hashlib.sha256(sample.png).hexdigest(),
                "image_phash": sample.phash,
            }
        )
        self.records[-1] += 1
        self.written += 1

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def describe(self) -> Iterator[Shard]:
        for name, records in zip(self.files, self.records, strict=True):
            with (self.folder / name).open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                yield Shard(key=name, split=self.split, records=records, bytes=file.tell(), sha256=sha256)


def write_dataset(
    store: Store,
    name: str,
    samples: Iterable[Sample],
    *,
    instrument: Instrument,
    counts: Mapping[str, int],
    image_shape: tuple[int, int, int],
    shards: Mapping[str, int] = DEFAULT_SHARDS,
    preparation: Mapping[str, Any] | None = None,
    skipped: Iterable[Mapping[str, Any]] = (),
    source: Mapping[str, Any] | None = None,
    replace: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> DatasetDocument:
    """Write a dataset, whole or not at all, and return its description.

    `samples` is consumed once, in one stream; within a split their order is the order of the records. `counts` says how
    many samples of each split will come (they are cut into `shards[split]` runs of equal length, fewer if there are
    fewer samples). `image_shape` is height, width and 1. `progress(done, total)` is called after every sample. An equal
    dataset that is there already is left as it is; another one of the same name is only replaced if `replace` says so.

    Raises BadStudy for a name that can't be one or is taken, BadData for a sample that can't be stored, RustkError
    where the temporary folder is full, and ValueError if the samples are not as many as announced.
    """
    check_dataset_name(name)
    if unknown := sorted(set(counts) - set(SPLITS)):
        raise ValueError(f"split {unknown[0]!r}: expected {' or '.join(SPLITS)}")
    total = sum(counts.values())
    with _temporary_folder() as folder, ExitStack() as open_files:
        writers = {
            split: _SplitWriter(split, counts[split], min(shards[split], counts[split]), folder)
            for split in SPLITS
            if counts.get(split, 0) > 0
        }
        for writer in writers.values():
            open_files.callback(writer.close)
        seen: set[str] = set()
        for done, sample in enumerate(samples, start=1):
            _check_sample(sample, instrument, image_shape, seen)
            if sample.split not in writers:
                raise ValueError(f"sample {sample.sample_id} of the split {sample.split}: none was announced")
            try:
                writers[sample.split].add(sample, instrument.site_names)
            except OSError as error:
                raise RustkError(f"could not write to the temporary folder {folder}: {error.strerror}") from error
            if progress is not None:
                progress(done, total)
        open_files.close()
        for split, writer in writers.items():
            if writer.written != writer.count:
                raise ValueError(f"{writer.written} samples of the split {split}: {writer.count} were announced")

        rows = [row for writer in writers.values() for row in writer.rows]
        index = encode_parquet(pa.Table.from_pylist(rows, schema=index_schema(instrument)))
        index_sha256 = hashlib.sha256(index).hexdigest()
        described = tuple(shard for writer in writers.values() for shard in writer.describe())
        document = DatasetDocument(
            name=name,
            instrument=instrument,
            image_shape=image_shape,
            shards=described,
            counts={split: counts.get(split, 0) for split in SPLITS},
            patients={split: _count_patients(rows, split) for split in SPLITS},
            index_sha256=index_sha256,
            preparation=dict(preparation or {}),
            skipped=tuple(dict(one) for one in skipped),
            source=dict(source or {}),
            digest=dataset_digest(image_shape, described, index_sha256, instrument),
        )
        _store_dataset(store, document, index, folder, replace)
    return document


def check_dataset_name(name: str) -> None:
    """Raise BadStudy for a name that no dataset can have."""
    if not names.is_name(name):
        raise BadStudy(f"--name {clip(name)}: expected {names.NAME_RULE}")


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="rustk-dataset-")
    except OSError as error:
        raise RustkError(f"there is no temporary folder to write to: {error.strerror or error}; set TMPDIR") from error
    with folder as name:
        yield Path(name)


def _check_sample(sample: Sample, instrument: Instrument, image_shape: tuple[int, int, int], seen: set[str]) -> None:
    if sample.sample_id in seen:
        raise BadData(f"sample {sample.sample_id} comes twice: expected every sample_id once")
    seen.add(sample.sample_id)
    try:
        instrument.check_scores(sample.view, sample.scores)
    except ValueError as error:
        raise BadData(f"sample {sample.sample_id}: {error}") from None
    height, width, _ = image_shape
    header = sample.png[:26]
    if header[:8] != _PNG_SIGNATURE or header[12:16] != b"IHDR":
        raise BadData(f"sample {sample.sample_id}: its image is not a PNG")
    found = (int.from_bytes(header[20:24]), int.from_bytes(header[16:20]))
    if found != (height, width) or header[24] != 8 or header[25] != 0:
        raise BadData(
            f"sample {sample.sample_id}: its PNG is {found[0]}x{found[1]}, {header[24]} bit, colour type {header[25]}: "
            f"expected {height}x{width}, 8 bit, grey (0)"
        )


def _encode_sample(sample: Sample) -> bytes:
    texts = {"sample_id": [sample.sample_id.encode()], "image": [sample.png], "view": [sample.view.encode()]}
    scores = {site: [score] for site, score in sample.scores.items() if score is not None}
    return encode_example(Example(texts, scores))


def _count_patients(rows: Iterable[Mapping[str, Any]], split: str) -> int | None:
    """None where no image of the split says of whom it is."""
    return len({row["patient"] for row in rows if row["split"] == split} - {None}) or None


def _store_dataset(store: Store, document: DatasetDocument, index: bytes, folder: Path, replace: bool) -> None:
    name = document.name
    if store.exists(names.dataset_key(name)):
        digest = _digest_there(store, name, replace)
        if digest == document.digest:
            return
        if not replace:
            raise BadStudy(
                f"dataset {name} in the store {store.url} is another one (digest {str(digest)[:12]}, the new one has "
                f"{document.digest[:12]}): choose another name, or add --replace to replace it"
            )
        # From here until the new dataset.json is in place there is no dataset of this name, rather than a mixture.
        store.delete(names.dataset_key(name))
    keep = {shard.key for shard in document.shards}
    for entry in store.list(names.dataset_prefix(name)):
        if entry.key.endswith(".tfrecord") and entry.key.rpartition("/")[2] not in keep:
            store.delete(entry.key)
    for shard in document.shards:
        store.write(names.dataset_shard_key(name, shard.key), (folder / shard.key).read_bytes())
    store.write(names.dataset_index_key(name), index)
    write_document(store, names.dataset_key(name), document)


def _digest_there(store: Store, name: str, replace: bool) -> str | None:
    """The digest of the dataset that has the name; None for one that is damaged and is to be replaced."""
    try:
        return read_document(store, names.dataset_key(name), DatasetDocument).digest
    except BadData:
        if not replace:
            raise
        return None
