"""The examples of a run's final model: pictures of test images with heat maps, made where `final` was asked to."""

import hashlib
from dataclasses import dataclass

from rustk.store.base import Store
from rustk.store.card import Example, Examples, ModelCard
from rustk.store.documents import read_document
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy, KeyMissing


@dataclass(frozen=True)
class Pictures:
    """Examples with their PNGs, in order. rule: how they were chosen."""

    rule: str
    shown: tuple[tuple[Example, bytes], ...]


def load_examples(store: Store, run: str, card: ModelCard | None) -> Pictures:
    """The examples of a run's final model.

    Raises BadStudy where there are none, and BadData for pictures that are damaged or of another model.
    """
    key = names.examples_key(run)
    try:
        found = read_document(store, key, Examples)
    except KeyMissing:
        raise BadStudy(
            f"run {run} has no examples with images: make them with `rustk final {run} --with-images`"
        ) from None
    if card is None or found.model_sha256 != card.model_sha256:
        raise BadData(f"{key}: of another model than the run's: `rustk final {run} --with-images` makes them again")
    return Pictures(found.rule, tuple((example, _read(store, run, example)) for example in found.examples))


def _read(store: Store, run: str, example: Example) -> bytes:
    key, listed = names.example_picture_key(run, example.file), names.examples_key(run)
    try:
        picture = store.read(key)
    except KeyMissing:
        raise BadData(f"{key} is missing: {listed} names it; delete that, and make them again") from None
    if hashlib.sha256(picture).hexdigest() != example.sha256:
        raise BadData(f"{key} is not the picture that {listed} names: delete that, and make them again")
    return picture
