"""Where a phantom dataset came from, as dataset.json records it: enough to know the same one without drawing it."""

from typing import Any

from rustk.datasets.phantom.drawing import is_for_machinery, picture_of
from rustk.datasets.records import check_dataset_name
from rustk.store import Store
from rustk.store.datasets import read_dataset
from rustk.store.documents import DatasetDocument
from rustk.vocabulary import names
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.instrument import Instrument

MACHINERY = "for machinery only: its pictures show marks, no anatomy"


def describe_source(
    instrument: Instrument, *, images: int, size: int, seed: int, signal: float, faults: list[str]
) -> dict[str, Any]:
    """The `source` of dataset.json: everything beside the instrument that decides what is drawn."""
    source = {
        "kind": "phantom",
        "drawing": picture_of(instrument).DRAWING,
        "images": images,
        "size": size,
        "seed": seed,
        "signal": signal,
        "faults": faults,
    }
    return source | ({"note": MACHINERY} if is_for_machinery(instrument) else {})


def already_there(store: Store, name: str, instrument: Instrument, source: dict[str, Any]) -> DatasetDocument | None:
    """This very dataset if the store has it, or None if the name is free.

    Raises BadStudy for a name that can't be one, or that another dataset has.
    """
    check_dataset_name(name)
    if not store.exists(names.dataset_key(name)):
        return None
    described = read_dataset(store, name)
    asked_for = source | {"instrument": instrument.name}
    there = described.source | {"instrument": described.instrument.name}
    if there == asked_for and described.instrument == instrument:
        return described
    differing = [key for key in asked_for if there.get(key) != asked_for[key]]
    said = ", ".join(f"{key} {clip(there.get(key))} where {asked_for[key]!r} was asked for" for key in differing)
    raise BadStudy(
        f"the store {store.url} has another dataset {name!r} ({said or 'another instrument of that name'}): "
        "choose another --name"
    )
