"""Backbone weights in the store: what is known of them without opening them, and what to do where they are missing.

`weights/<name>.json` describes `weights/<name>.h5` or `weights/<name>.keras`; it is written after the weights, so that
its presence means that they are there.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from rustk.store import Store
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy, KeyMissing

RANDOM = "random"
SUFFIXES = (".h5", ".keras")


@dataclass(frozen=True)
class WeightsEntry:
    """One file of backbone weights: how it is called, what it is for, and what it must hash to."""

    name: str
    architecture: str
    file: str  # its name where it came from
    suffix: str  # .h5 or .keras
    bytes: int
    sha256: str

    @property
    def key(self) -> str:
        return names.weights_key(self.name, self.suffix)


def resolve_weights(store: Store, name: str, architecture: str | None = None) -> dict[str, Any]:
    """{"name", "sha256"} of a study's weights; the sha256 of `random` is None.

    Raises BadStudy where the store has no weights of this name, or has them for another architecture.
    """
    if name == RANDOM:
        return {"name": RANDOM, "sha256": None}
    entry = find_weights(store, name)
    if architecture is not None and entry.architecture != architecture:
        raise BadStudy(
            f"the weights {name} are of {entry.architecture}, the study's model.architecture is {architecture}: "
            "choose other weights, or add them under another name"
        )
    return {"name": name, "sha256": entry.sha256}


def find_weights(store: Store, name: str) -> WeightsEntry:
    """The description of weights in the store. Raises BadStudy, with what to do, where there are none of this name."""
    key = names.weights_key(name, ".json")
    try:
        return parse_entry(key, store.read(key))
    except KeyMissing:
        raise BadStudy(
            f"the store {store.url} has no weights {name}: add a file with `rustk weights add {name} FILE` "
            f"(.h5 or .keras, backbone only){_HOW_TO_GET.get(name, '')}, or set model.weights=random"
        ) from None


def list_weights(store: Store) -> list[WeightsEntry]:
    """Every description of weights in the store, by name."""
    return [
        parse_entry(entry.key, store.read(entry.key))
        for entry in store.list("weights/")
        if entry.key.endswith(".json") and entry.key.count("/") == 1
    ]


def encode_entry(entry: WeightsEntry) -> bytes:
    return (json.dumps({"schema": 1, **asdict(entry)}, indent=1, sort_keys=True) + "\n").encode()


def parse_entry(key: str, data: bytes) -> WeightsEntry:
    """The inverse of `encode_entry`. Raises BadData."""
    try:
        fields = json.loads(data)
        if fields.pop("schema") != 1:
            raise BadData(f"{key}: expected schema 1")
        return WeightsEntry(**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(f"{key} does not describe weights: {error}; add them again with `rustk weights add`") from None


_HOW_TO_GET = {
    "imagenet": ", or with network take Keras's own with `rustk weights add imagenet --download`",
    "radimagenet": "; its InceptionV3 file is to be asked for at https://www.radimagenet.com",
}
