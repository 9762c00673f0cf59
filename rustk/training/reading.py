"""Reading a dataset from the store: digests verified, nothing skipped, whatever is corrupt named."""

import hashlib
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from rustk.store import Store
from rustk.store.datasets import read_dataset, read_index
from rustk.training.records import iter_framed
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData
from rustk.vocabulary.labels import CORTICES, LABELS, encode_label


@dataclass(frozen=True)
class Split:
    """One split of a dataset, in the order of its shards.

    images: uint8 [images, height, width]; labels: float32 [images, 18]; sample_ids: one an image.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.float32]
    sample_ids: tuple[str, ...]


def open_dataset(store: Store, name: str, digest: str) -> dict[str, Any]:
    """`dataset.json` of the dataset a run was planned on. Raises BadData if it is missing or was replaced since."""
    document = read_dataset(store, name)
    if document["digest"] != digest:
        raise BadData(
            f"dataset {name} has the digest {document['digest'][:12]}, the run was planned with {digest[:12]}: "
            "it was replaced since; submit a new run"
        )
    return document


def shards_of(dataset: Mapping[str, Any], split: str) -> list[dict[str, Any]]:
    """The entries of `dataset.json` for the shards of one split, in their order. Raises BadData if it has none."""
    found = sorted((shard for shard in dataset["shards"] if shard["split"] == split), key=lambda shard: shard["key"])
    if not found:
        raise BadData(f"dataset {dataset['name']} has no split {split}")
    return found


def read_split_index(store: Store, dataset: dict[str, Any], split: str) -> pa.Table:
    """The rows of `index.parquet` for one split, in the order of shards and positions. Raises BadData."""
    table = read_index(store, dataset)
    return table.filter(pc.equal(table["split"], split)).sort_by([("shard", "ascending"), ("position", "ascending")])


def encode_labels(index: pa.Table) -> npt.NDArray[np.float32]:
    """The 18 labels of each row of an index: float32 [rows, 18]. Raises BadData for a row that can't be."""
    labels = np.zeros((index.num_rows, len(LABELS)), np.float32)
    columns = ("sample_id", "view", *CORTICES)
    for row, values in enumerate(zip(*(index[column].to_pylist() for column in columns), strict=True)):
        sample_id, view, *scores = values
        try:
            labels[row] = encode_label(view, dict(zip(CORTICES, scores, strict=True)))
        except ValueError as error:
            raise BadData(f"index.parquet: sample {sample_id}: {error}") from None
    return labels


def read_split(store: Store, dataset: dict[str, Any], split: str) -> Split:
    """Read all images of one split. Raises BadData, naming shard and record, for anything that is not as it should."""
    shards = shards_of(dataset, split)
    parts = [read_shard(store, dataset, shard) for shard in shards]
    whole = Split(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.labels for part in parts]),
        tuple(sample_id for part in parts for sample_id in part.sample_ids),
    )
    index = read_split_index(store, dataset, split)
    if tuple(index["sample_id"].to_pylist()) != whole.sample_ids or not np.array_equal(
        encode_labels(index), whole.labels
    ):
        raise BadData(f"dataset {dataset['name']}: index.parquet and the records of {split} do not agree")
    return whole


def read_shard(store: Store, dataset: Mapping[str, Any], shard: Mapping[str, Any]) -> Split:
    """Read one shard: its sha256 is verified, its records parsed, its PNGs decoded (in threads). Raises BadData."""
    import tensorflow as tf

    key = names.dataset_shard_key(dataset["name"], shard["key"])
    data = store.read(key)
    if hashlib.sha256(data).hexdigest() != shard["sha256"]:
        raise BadData(_explain_corruption(key, data, shard))
    try:
        encoded = list(iter_framed(data))
    except ValueError as error:
        raise BadData(f"{key}: {error}") from None
    if len(encoded) != shard["records"]:
        raise BadData(f"{key} has {len(encoded)} records: dataset.json says {shard['records']}")
    height, width, _ = dataset["image_shape"]
    images = np.empty((len(encoded), height, width), np.uint8)
    labels = np.empty((len(encoded), len(LABELS)), np.float32)
    sample_ids = [""] * len(encoded)

    def decode(position: int) -> None:
        where = f"{key}, record {position}"
        sample_ids[position], png, labels[position] = _parse_example(encoded[position], where)
        try:
            image = tf.io.decode_png(png, channels=1).numpy()
        except tf.errors.InvalidArgumentError as error:
            raise BadData(f"{where}: its PNG can't be decoded: {error.message.splitlines()[0]}") from None
        if image.shape != (height, width, 1):
            raise BadData(
                f"{where}: its image is {image.shape[0]}x{image.shape[1]}: dataset.json says {height}x{width}"
            )
        images[position] = image[:, :, 0]

    with ThreadPoolExecutor() as pool:
        list(pool.map(decode, range(len(encoded))))
    return Split(images, labels, tuple(sample_ids))


def _parse_example(encoded: bytes, where: str) -> tuple[str, bytes, tuple[int, ...]]:
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        features = tf.train.Example.FromString(encoded).features.feature
    except DecodeError as error:
        raise BadData(f"{where} is no tf.train.Example: {error}") from None
    for name in ("sample_id", "image", "view"):
        if name not in features or len(features[name].bytes_list.value) != 1:
            raise BadData(f"{where} has no feature {name} of one byte string")
    scores: dict[str, int | None] = {}
    for cortex in CORTICES:
        values = list(features[cortex].int64_list.value) if cortex in features else []
        scores[cortex] = values[0] if values else None
    try:
        view = features["view"].bytes_list.value[0].decode()
        label = encode_label(view, scores)
        sample_id = features["sample_id"].bytes_list.value[0].decode()
    except ValueError as error:
        raise BadData(f"{where}: {error}") from None
    return sample_id, features["image"].bytes_list.value[0], label


def _explain_corruption(key: str, data: bytes, shard: Mapping[str, Any]) -> str:
    """Which record of a shard with the wrong digest is corrupt, by the records' own checksums."""
    import tensorflow as tf

    found = hashlib.sha256(data).hexdigest()
    difference = f"sha256 is {found[:12]}, dataset.json says {shard['sha256'][:12]}"
    intact = 0
    with tempfile.TemporaryDirectory(prefix="rustk-shard-") as folder:
        path = Path(folder) / "shard.tfrecord"
        path.write_bytes(data)
        try:
            for _ in tf.data.TFRecordDataset(str(path)):
                intact += 1
        except tf.errors.DataLossError:
            return f"{key}, record {intact} is corrupt ({difference}): write the dataset again"
    if intact != shard["records"]:
        return f"{key} ends after record {intact - 1} of {shard['records']} ({difference}): write the dataset again"
    return f"{key} is another file than the one of dataset.json ({difference}; all its records are readable)"
