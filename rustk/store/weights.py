"""Backbone weights in the store: what is known of them without opening them, and what to do where they are missing."""

import contextlib
import hashlib
from pathlib import Path

from rustk.planning.sections import WEIGHTLESS
from rustk.store.base import Store
from rustk.store.documents import WeightsEntry, encode_document, read_document
from rustk.vocabulary import names
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadData, BadStudy, KeyMissing
from rustk.vocabulary.reading import check_regular

SUFFIXES = (".h5", ".keras")
LARGEST_BYTES = 4 * 1024**3  # of one file: no backbone has more

_HOW_TO_GET = {
    "imagenet": ", or with network take Keras's own with `rustk weights add imagenet --download`",
    "radimagenet": "; its InceptionV3 file is to be asked for at https://www.radimagenet.com",
}


def weights_key(entry: WeightsEntry) -> str:
    """Where the file of weights itself lies."""
    return names.weights_key(entry.name, entry.suffix)


def resolve_weights(store: Store, name: str, architecture: str | None = None) -> str | None:
    """The sha256 of a study's weights; None for those that are drawn (`WEIGHTLESS`).

    Raises BadStudy where the store has no weights of this name, or has them for another architecture.
    """
    if name in WEIGHTLESS:
        return None
    entry = find_weights(store, name)
    if architecture is not None and entry.architecture != architecture:
        raise BadStudy(
            f"the weights {name} are of {entry.architecture}, the study's model.architecture is {architecture}: "
            "choose other weights, or add them under another name"
        )
    return entry.sha256


def find_weights(store: Store, name: str) -> WeightsEntry:
    """The description of weights in the store. Raises BadStudy, with what to do, where there are none of this name."""
    try:
        return read_document(store, names.weights_entry_key(name), WeightsEntry)
    except KeyMissing:
        raise BadStudy(
            f"the store {store.url} has no weights {name}: add a file with `rustk weights add {name} FILE` "
            f"(.h5 or .keras, backbone only){_HOW_TO_GET.get(name, '')}, or set model.weights=random"
        ) from None


def list_weights(store: Store) -> list[WeightsEntry]:
    """Every description of weights in the store, by name. Raises BadData for one that can't be read."""
    return [
        read_document(store, entry.key, WeightsEntry)
        for entry in store.list(names.WEIGHTS)
        if entry.key.endswith(".json") and entry.key.count("/") == 1
    ]


def check_weights_name(name: str) -> None:
    """Raise BadStudy for a text that can't name weights."""
    if not names.is_name(name) or name in WEIGHTLESS:
        raise BadStudy(f"weights name {clip(name)}: expected {names.NAME_RULE}, and not {' or '.join(WEIGHTLESS)}")


def put_weights(store: Store, entry: WeightsEntry, data: bytes, *, replace: bool = False) -> None:
    """Put a file of weights and its description into the store. Raises BadStudy where others have that name, unless
    they are to be replaced."""
    with contextlib.suppress(KeyMissing, BadData):  # those that can't be read are put again
        there = read_document(store, names.weights_entry_key(entry.name), WeightsEntry)
        if (there.sha256, there.architecture) != (entry.sha256, entry.architecture) and not replace:
            raise BadStudy(
                f"the store {store.url} has other weights {entry.name} (of {there.architecture}, sha256 "
                f"{there.sha256[:12]}), and runs may be planned with them: choose another name, or give --replace"
            )
    # Weights without a description, or with that of others, would be refused; none at all says what to do.
    store.delete(names.weights_entry_key(entry.name))
    store.write(weights_key(entry), data)
    store.write(names.weights_entry_key(entry.name), encode_document(entry))
    for suffix in SUFFIXES:
        if suffix != entry.suffix:
            store.delete(names.weights_key(entry.name, suffix))


def read_weights(store: Store, name: str, sha256: str) -> tuple[WeightsEntry, bytes]:
    """A file of weights with its description. Raises BadStudy or BadData where it is missing or not as planned."""
    entry = find_weights(store, name)
    key = weights_key(entry)
    try:
        data = store.read(key)
    except KeyMissing:
        raise BadData(f"{key} is missing: add it again with `rustk weights add {name} FILE`") from None
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise BadData(
            f"{key} has sha256 {found[:12]}, the run was planned with {sha256[:12]}: add the file again with "
            f"`rustk weights add {name} FILE`, or submit a new run"
        )
    return entry, data


def check_weights_file(path: Path) -> None:
    """Raise BadData for what is no file of weights by its name, kind or size; it is not read."""
    expected = f"a file of weights, {' or '.join(SUFFIXES)}"
    if path.suffix not in SUFFIXES:
        raise BadData(f"{path}: expected {expected}")
    try:
        check_regular(path, str(path), expected, BadData, largest=LARGEST_BYTES)
        path.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise BadData(f"{path}: {getattr(error, 'strerror', None) or error}: expected {expected}") from None
