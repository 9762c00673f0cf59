"""Datasets as they lie in a store: their description and index, checked against each other."""

import hashlib
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rustk.store.base import Store
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy, KeyMissing

_MAKE_ONE = "make one with `rustk dataset build` or `rustk phantom`"


def list_datasets(store: Store) -> list[str]:
    """The names of the datasets that are whole, sorted."""
    return [name for name in store.folders("datasets/") if store.exists(names.dataset_key(name))]


def choose_dataset(store: Store, wanted: str | None) -> str:
    """`wanted` if the store has it, or the only dataset there is. Raises BadStudy otherwise."""
    there = list_datasets(store)
    if wanted is not None:
        if wanted not in there:
            others = f"it has {', '.join(there)}" if there else f"it has none; {_MAKE_ONE}"
            raise BadStudy(f"the store {store.url} has no dataset {wanted!r}: {others}")
        return wanted
    if not there:
        raise BadStudy(f"the store {store.url} has no dataset: {_MAKE_ONE}")
    if len(there) > 1:
        raise BadStudy(f"the store {store.url} has several datasets: choose one with --dataset ({', '.join(there)})")
    return there[0]


def read_dataset(store: Store, name: str) -> dict[str, Any]:
    """The content of dataset.json. Raises BadData when it is missing or is no description of a dataset."""
    key = names.dataset_key(name)
    try:
        described: dict[str, Any] = json.loads(store.read(key))
    except KeyMissing:
        raise BadData(f"the store {store.url} has no dataset {name!r} ({key} is missing): {_MAKE_ONE}") from None
    except ValueError as error:
        raise BadData(f"{key} is not JSON: {error}") from None
    missing = {"schema", "name", "image_shape", "shards", "index_sha256", "digest"} - set(described)
    if missing:
        raise BadData(f"{key} has no field {', '.join(sorted(missing))}: build the dataset again")
    if described["schema"] != 1:
        raise BadData(f"{key}: schema {described['schema']!r}: this rustk reads schema 1")
    return described


def read_index(store: Store, dataset: dict[str, Any]) -> pa.Table:
    """index.parquet of the dataset described by `dataset`. Raises BadData when it is not the one that was built."""
    key = names.dataset_index_key(dataset["name"])
    try:
        data = store.read(key)
    except KeyMissing:
        raise BadData(f"{key} is missing: build the dataset again") from None
    found = hashlib.sha256(data).hexdigest()
    if found != dataset["index_sha256"]:
        raise BadData(f"{key} has sha256 {found[:12]}..., dataset.json says {dataset['index_sha256'][:12]}...")
    return pq.read_table(io.BytesIO(data))
