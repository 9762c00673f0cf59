"""Datasets as they lie in a store: their description and index, checked against each other."""

import hashlib
import json
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from rustk.store.base import Store
from rustk.store.documents import DatasetDocument, Shard, read_document
from rustk.store.remedies import advised, damaged
from rustk.vocabulary import names
from rustk.vocabulary.checking import clip, did_you_mean
from rustk.vocabulary.errors import BadData, BadStudy, KeyMissing
from rustk.vocabulary.instrument import Instrument
from rustk.vocabulary.parquet import conform, read_parquet
from rustk.vocabulary.schemas import index_schema

SPLITS = ("develop", "test")

_MAKE_ONE = "make one with `rustk dataset build` or `rustk phantom`"


def list_datasets(store: Store) -> list[str]:
    """The names of the datasets that are whole, sorted."""
    return [name for name in store.folders(names.DATASETS) if store.exists(names.dataset_key(name))]


def choose_dataset(store: Store, wanted: str | None) -> str:
    """`wanted` if the store has it, or the only dataset there is. Raises BadStudy otherwise."""
    there = list_datasets(store)
    if wanted is not None:
        if wanted not in there:
            others = did_you_mean(wanted, there) if there else f"it has none; {_MAKE_ONE}"
            raise BadStudy(f"the store {store.url} has no dataset {clip(wanted)}: {others}")
        return wanted
    if not there:
        raise BadStudy(f"the store {store.url} has no dataset: {_MAKE_ONE}")
    if len(there) > 1:
        raise BadStudy(f"the store {store.url} has several datasets: choose one with --dataset ({', '.join(there)})")
    return there[0]


def read_dataset(store: Store, name: str) -> DatasetDocument:
    """dataset.json of a dataset. Raises BadData when it is missing, damaged or another dataset's."""
    key = names.dataset_key(name)
    try:
        document = read_document(store, key, DatasetDocument)
    except KeyMissing:
        raise BadData(f"the store {store.url} has no dataset {name!r} ({key} is missing): {_MAKE_ONE}") from None
    if document.name != name:
        raise damaged(key, f"{key}: name = {clip(document.name)}: expected {name}, the folder that it lies in")
    return document


def check_unchanged(document: DatasetDocument) -> None:
    """Raise BadData where what dataset.json says is not what its digest is of: nothing should begin on it, nor be
    computed from it. No file is read."""
    if (found := digest_of(document)) != document.digest:
        raise BadData(
            f"{names.dataset_key(document.name)}: digest = {document.digest[:12]}..., but what it says of image shape, "
            f"shards, index and instrument has the digest {found[:12]}...: it was changed since the build: put back "
            "the former file, or build the dataset again"
        )


def check_sizes(store: Store, dataset: DatasetDocument, split: str | None = None) -> None:
    """Raise BadData where a shard (of one split) is missing or has another size than it was built with."""
    there = {entry.key: entry.size_bytes for entry in store.list(names.dataset_prefix(dataset.name))}
    shards = [shard for shard in dataset.shards if split in (None, shard.split)]
    sizes = {names.dataset_shard_key(dataset.name, shard.key): shard.bytes for shard in shards}
    if gone := [key for key in sizes if key not in there]:
        raise damaged(gone[0], f"{', '.join(gone)} {'is' if len(gone) == 1 else 'are'} missing")
    for key, size in sizes.items():
        if there[key] != size:
            raise damaged(key, f"{key} has {there[key]:,} bytes: expected {size:,}")


def read_index(store: Store, dataset: DatasetDocument, split: str | None = None) -> pa.Table:
    """index.parquet of a dataset, or the rows of one split, in the order of shards and positions.

    Columns are those of `index_schema`. Raises BadData when it is not the index that was built.
    """
    key = names.dataset_index_key(dataset.name)
    try:
        data = store.read(key)
    except KeyMissing:
        raise BadData(f"{key} is missing: build the dataset again") from None
    schema = index_schema(dataset.instrument)
    optional = frozenset(field.name for field in schema if field.nullable)
    with advised(key):
        found = hashlib.sha256(data).hexdigest()
        if found != dataset.index_sha256:
            raise BadData(f"{key} has sha256 {found[:12]}..., dataset.json says {dataset.index_sha256[:12]}...")
        table = conform(read_parquet(data, key), schema, key, optional)
    if split is not None:
        table = table.filter(pc.equal(table["split"], split))
        table = table.sort_by([("shard", "ascending"), ("position", "ascending")])
    return table


def digest_of(document: DatasetDocument) -> str:
    """The digest that a description's own content comes to."""
    return dataset_digest(document.image_shape, document.shards, document.index_sha256, document.instrument)


def dataset_digest(
    image_shape: Iterable[int], shards: Iterable[Shard], index_sha256: str, instrument: Instrument
) -> str:
    """What decides a dataset's content: image shape, the digests of its shards and index, and what scores mean."""
    content = [
        list(image_shape),
        sorted([shard.key, shard.sha256] for shard in shards),
        index_sha256,
        instrument.encoding(),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
