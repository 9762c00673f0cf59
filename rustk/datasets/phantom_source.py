"""Where a phantom dataset came from, as dataset.json records it: enough to know the same one without drawing it."""

from typing import Any

from rustk.datasets.phantom import DRAWING
from rustk.store import Store
from rustk.store.datasets import read_dataset
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadStudy


def describe_source(*, images: int, size: int, seed: int, signal: float, faults: list[str]) -> dict[str, Any]:
    """The `source` of dataset.json: everything that decides what is drawn."""
    return {
        "kind": "phantom",
        "drawing": DRAWING,
        "images": images,
        "size": size,
        "seed": seed,
        "signal": signal,
        "faults": faults,
    }


def already_there(store: Store, name: str, source: dict[str, Any]) -> dict[str, Any] | None:
    """dataset.json of this very dataset if the store has it, or None if the name is free.

    Raises BadStudy for a name that can't be one, or that another dataset has.
    """
    if not names.is_name(name):
        raise BadStudy(f"--name {name!r}: expected lower-case letters, digits and dashes, at most 63")
    if not store.exists(names.dataset_key(name)):
        return None
    described = read_dataset(store, name)
    there = described.get("source") or {}
    if there == source:
        return described
    differing = [key for key in source if there.get(key) != source[key]]
    said = ", ".join(f"{key} {there.get(key)!r} where {source[key]!r} was asked for" for key in differing)
    raise BadStudy(f"the store {store.url} has another dataset {name!r} ({said}): choose another --name")
