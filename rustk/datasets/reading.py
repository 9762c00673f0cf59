"""Reading a dataset from a store: digests verified, nothing skipped, whatever is corrupt named."""

import hashlib
import io
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rustk.datasets.packages import missing_package
from rustk.datasets.tfrecord import NotAnExample, count_intact, decode_example, iter_framed
from rustk.store import Store
from rustk.store.datasets import check_unchanged, read_dataset, read_index
from rustk.store.documents import DatasetDocument, Shard
from rustk.store.remedies import damaged
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, KeyMissing, one_line
from rustk.vocabulary.instrument import Instrument

try:
    from PIL import Image
except ImportError as error:
    raise missing_package(error) from error

_PNG_ERRORS = (OSError, SyntaxError, ValueError, struct.error, zlib.error, Image.DecompressionBombError)


@dataclass(frozen=True)
class Split:
    """One split of a dataset, in the order of its shards.

    images: uint8 [images, height, width]; labels: float32 [images, labels of the instrument], zeros and ones;
    sample_ids: one an image.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.float32]
    sample_ids: tuple[str, ...]


def open_dataset(store: Store, name: str, digest: str) -> DatasetDocument:
    """The dataset that a run was planned on. Raises BadData if it is missing or was replaced since."""
    document = read_dataset(store, name)
    if document.digest != digest:
        raise BadData(
            f"dataset {name} has the digest {document.digest[:12]}, the run was planned with {digest[:12]}: "
            "it was replaced since; submit a new run"
        )
    check_unchanged(document)
    return document


def shards_of(dataset: DatasetDocument, split: str) -> list[Shard]:
    """The shards of one split, in their order. Raises BadData if it has none."""
    found = sorted((shard for shard in dataset.shards if shard.split == split), key=lambda shard: shard.key)
    if not found:
        raise BadData(f"dataset {dataset.name} has no split {split}")
    return found


def encode_labels(index: pa.Table, instrument: Instrument) -> npt.NDArray[np.float32]:
    """The labels of each row of an index: float32 [rows, labels]. Raises BadData for a row that no image can have."""
    labels = np.zeros((index.num_rows, len(instrument.labels)), np.float32)
    columns = ("sample_id", "view", *instrument.site_names)
    for row, values in enumerate(zip(*(index[column].to_pylist() for column in columns), strict=True)):
        sample_id, view, *scores = values
        try:
            labels[row] = instrument.encode(view, dict(zip(instrument.site_names, scores, strict=True)))
        except ValueError as error:
            raise BadData(f"index.parquet: sample {sample_id}: {error}") from None
    return labels


def read_split(store: Store, dataset: DatasetDocument, split: str) -> Split:
    """Read all images of one split. Raises BadData, naming shard and record, for anything that is not as it should."""
    parts = [read_shard(store, dataset, shard) for shard in shards_of(dataset, split)]
    whole = Split(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
        tuple(sample_id for part in parts for sample_id in part.sample_ids),
    )
    index = read_index(store, dataset, split)
    if tuple(index["sample_id"].to_pylist()) != whole.sample_ids or not np.array_equal(
        encode_labels(index, dataset.instrument), whole.labels
    ):
        raise BadData(f"dataset {dataset.name}: index.parquet and the records of {split} do not agree")
    return whole


def check_intact(store: Store, dataset: DatasetDocument, split: str) -> None:
    """Raise BadData for a shard of a split, or the index, that is not what was built. No record is looked into."""
    read_index(store, dataset)
    for shard in shards_of(dataset, split):
        _read_intact(store, dataset, shard)


def _read_intact(store: Store, dataset: DatasetDocument, shard: Shard) -> bytes:
    key = names.dataset_shard_key(dataset.name, shard.key)
    try:
        data = store.read(key)
    except KeyMissing as error:
        raise damaged(key, str(error)) from None
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise damaged(key, _explain_corruption(key, data, shard))
    return data


def read_shard(store: Store, dataset: DatasetDocument, shard: Shard) -> Split:
    """Read one shard: its sha256 is verified, its records parsed, its PNGs decoded (in threads). Raises BadData."""
    key = names.dataset_shard_key(dataset.name, shard.key)
    data = _read_intact(store, dataset, shard)
    try:
        encoded = list(iter_framed(data))
    except ValueError as error:
        raise BadData(f"{key}: {error}") from None
    if len(encoded) != shard.records:
        raise BadData(f"{key} has {len(encoded)} records: dataset.json says {shard.records}")
    height, width, _ = dataset.image_shape
    images = np.empty((len(encoded), height, width), np.uint8)
    labels = np.empty((len(encoded), len(dataset.instrument.labels)), np.float32)
    sample_ids = [""] * len(encoded)

    def decode(position: int) -> None:
        where = f"{key}, record {position}"
        sample_ids[position], png, labels[position] = _parse_sample(encoded[position], dataset.instrument, where)
        images[position] = _decode_png(png, height, width, where)

    with ThreadPoolExecutor(min(32, os.cpu_count() or 1)) as pool:
        list(pool.map(decode, range(len(encoded))))
    return Split(images, labels, tuple(sample_ids))


def _parse_sample(encoded: bytes, instrument: Instrument, where: str) -> tuple[str, bytes, tuple[int, ...]]:
    try:
        example = decode_example(encoded)
    except NotAnExample as error:
        raise BadData(f"{where} is not a tf.train.Example: {error}") from None
    for name in ("sample_id", "image", "view"):
        if len(example.texts.get(name, ())) != 1:
            raise BadData(f"{where} has no feature {name} of one byte string")
    scores: dict[str, int | None] = {}
    for site in instrument.site_names:
        found = example.integers.get(site, ())
        if len(found) > 1:
            raise BadData(f"{where}: {site} has {len(found)} scores: expected at most one")
        scores[site] = found[0] if found else None
    try:
        label = instrument.encode(example.texts["view"][0].decode(), scores)
        sample_id = example.texts["sample_id"][0].decode()
    except ValueError as error:
        raise BadData(f"{where}: {error}") from None
    return sample_id, example.texts["image"][0], label


def _decode_png(png: bytes, height: int, width: int, where: str) -> npt.NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
            if image.size != (width, height):
                found = f"{image.height}x{image.width}"
                raise BadData(f"{where}: its image is {found}: dataset.json says {height}x{width}")
            if image.mode != "L":
                raise BadData(f"{where}: its image is of mode {image.mode}: expected 8-bit grey")
            return np.asarray(image)
    except _PNG_ERRORS as error:
        raise BadData(f"{where}: its PNG can't be decoded: {one_line(str(error))}") from None


def _explain_corruption(key: str, data: bytes, shard: Shard) -> str:
    """Which record of a shard with the wrong digest is corrupt, by the records' own checksums."""
    found = hashlib.sha256(data).hexdigest()
    difference = f"sha256 is {found[:12]}, dataset.json says {shard.sha256[:12]}"
    intact, ends_well = count_intact(data)
    if not ends_well:
        return f"{key}, record {intact} is corrupt ({difference})"
    if intact != shard.records:
        return f"{key} ends after record {intact - 1} of {shard.records} ({difference})"
    return f"{key} is another file than the one of dataset.json ({difference}; all its records are readable)"
