"""The seal on a dataset's test split: who looked at it, when, and why again.

A test split is worth as much as it has been looked at seldom. Every look is recorded beside the dataset before a single
test image is read, so that a crash can't hide one. A look is numbered within its dataset's folder, and counts for every
dataset of the same digest, whatever its name. The command line asks `may_look` before it starts a worker.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rustk.store.base import Store
from rustk.store.card import CardSeal, ModelCard
from rustk.store.datasets import read_dataset
from rustk.store.documents import DatasetDocument, NamedDigest, Opening, encode_document, now, read_document
from rustk.store.remedies import damaged
from rustk.vocabulary import names
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadData, BadStudy, KeyMissing

_LONGEST_WHY = 500


@dataclass(frozen=True)
class Looks:
    """The recorded looks at a test split, the first one first, and how many more there were whose records are gone."""

    openings: tuple[Opening, ...] = ()
    lost: int = 0

    @property
    def count(self) -> int:
        return len(self.openings) + self.lost


def list_looks(store: Store, dataset: NamedDigest, card: ModelCard | None = None) -> Looks:
    """Every look at the test split of this dataset, also under the name of another dataset of its digest.

    Without a digest it is that of the store's dataset of this name. All records in the dataset's own folder count, for
    one that was built anew has images in common with the former one. card: of a final model that was tested on it: it
    tells of its own look and how many there were by then. Raises BadData for a record that can't be read, or that says
    something else than the card.
    """
    digest = dataset.digest or _digest_of(store, dataset.name)
    folders: list[list[Opening]] = []
    lost = highest = 0
    for name in store.folders(names.DATASETS):
        found = list_openings(store, name)
        if not found:
            continue
        if name == dataset.name:
            highest = found[-1].number
        if name == dataset.name or (digest is not None and _digest_of(store, name) == digest):
            lost += found[-1].number - len(found)
        else:
            found = [opening for opening in found if opening.dataset_digest == digest]
        folders.append(found)
    # Within a folder the numbers tell the order, for clocks may differ.
    openings = tuple(heapq.merge(*folders, key=lambda opening: opening.opened))
    if card is not None and card.seal is not None:
        _check_look(openings, dataset.name, card, card.seal)
        lost = max(lost + max(0, card.seal.opening - highest), card.seal.openings - len(openings))
    return Looks(openings, lost)


def _check_look(openings: Sequence[Opening], dataset: str, card: ModelCard, seal: CardSeal) -> None:
    """Raise BadData where the record of a model's look, if it is there, is not of what the model's card says."""
    said = {
        "run": card.run,
        "trial": card.chosen.trial,
        "epochs": card.chosen.epochs,
        "dataset_digest": card.data.digest,
        "opened": seal.opened,
        "why": seal.why,
    }
    for opening in openings:
        if (opening.dataset, opening.number) != (dataset, seal.opening):
            continue
        key = names.opening_key(dataset, seal.opening)
        for field, expected in said.items():
            if (found := getattr(opening, field)) != expected:
                why = f"{names.model_card_key(card.run)} says {_said(expected)} of this look: expected the same"
                raise damaged(key, f"{key}: {field} = {_said(found)}: {why}")


def _said(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else clip(value)


def _digest_of(store: Store, dataset: str) -> str | None:
    """The digest in dataset.json; None where there is none that can be read: its openings tell their own."""
    try:
        return read_dataset(store, dataset).digest
    except BadData:
        return None


def list_openings(store: Store, dataset: str) -> list[Opening]:
    """The records in a dataset's folder by their number. Raises BadData for one that can't be read."""
    keys = [entry.key for entry in store.list(names.openings_prefix(dataset)) if entry.key.endswith(".json")]
    openings = [_read_opening(store, key, dataset) for key in keys]
    return sorted(openings, key=lambda opening: opening.number)


def _read_opening(store: Store, key: str, dataset: str) -> Opening:
    number = names.parse_opening_key(key)
    if number is None:
        raise BadData(f"{key}: not the name of a record: expected 0001.json and its kind: move the file elsewhere")
    opening = read_document(store, key, Opening)
    if opening.number != number:
        raise damaged(key, f"{key}: number = {opening.number}: expected that of the file's name")
    return opening.model_copy(update={"dataset": dataset})


def seal_sentence(looks: Looks) -> str:
    """How often the seal was opened, in words."""
    if not looks.count:
        return "The test split has not been looked at."
    further = "" if looks.count == 1 else " Each further look makes its figures more optimistic."
    gone = f" The records of {looks.lost} of these looks are missing." if looks.lost else ""
    if looks.count == looks.lost == 1:
        gone = " The record of this look is missing."
    return f"The test split was opened {_times(looks)}.{further}{gone}"


def _times(looks: Looks, dataset: str | None = None) -> str:
    """How often, and by whom last; under which name where that is not `dataset`."""
    times = "once" if looks.count == 1 else f"{looks.count} times"
    if not looks.openings:
        return times
    last = looks.openings[-1]
    under = f", as dataset {last.dataset}," if dataset is not None and last.dataset != dataset else ""
    by = "the last recorded one" if looks.lost else "last"  # what is not recorded may be later
    return f"{times}, {by} by run {last.run}{under} on {last.opened:%Y-%m-%d}"


@dataclass(frozen=True)
class Standing:
    """What there is of a run's final model. Both None: it is to be trained, and the seal to be opened for it."""

    finished: ModelCard | None = None  # of this very model, with its test: nothing is left to do
    taken: Opening | None = None  # the look that was recorded for this very model when it was interrupted


def may_look(store: Store, dataset: NamedDigest, run: str, trial: int, epochs: int, why: str | None) -> Standing:
    """Where a run's final model stands, trained as its trial says for so many epochs.

    Raises BadStudy where the seal was opened before for anything else, and nobody says why it is to be opened again, in
    a sentence that every report can show.
    """
    if why is not None and (len(why) > _LONGEST_WHY or not why.isprintable()):
        raise BadStudy(f"--again {clip(why)}: expected one line of at most {_LONGEST_WHY} characters, for the reports")
    if why is not None and not why.strip():
        raise BadStudy(f"--again {clip(why)}: expected why the test split is to be looked at again, for the reports")
    card = read_card(store, run)
    described = card is not None and (card.chosen.trial, card.chosen.epochs) == (trial, epochs)
    # The same reason again is the same look: a container that is tried again after its last write takes no second one.
    if card is not None and described and card.seal is not None and why in (None, card.seal.why):
        for key in (names.model_key(run), names.test_prediction_key(run)):
            if not store.exists(key):
                raise damaged(key, f"{key} is not in the store {store.url}, though its card is there")
        return Standing(finished=card)
    looks = list_looks(store, dataset, card)
    if card is not None and card.seal is not None:
        key = names.opening_key(dataset.name, card.seal.opening)
        if not store.exists(key):
            raise damaged(key, f"{key} is not in the store {store.url}, though {names.model_card_key(run)} tells of it")
    if looks.openings:
        last = looks.openings[-1]
        ours = (last.dataset, last.run, last.trial, last.epochs) == (dataset.name, run, trial, epochs)
        tested = card is not None and card.seal is not None and card.seal.opening == last.number
        if ours and not tested:
            return Standing(taken=last)
    check_seal(looks, dataset.name, why)
    return Standing()


def read_card(store: Store, run: str) -> ModelCard | None:
    """The card of a run's final model; None while there is none. Raises BadData for one that can't be read, and for
    that of another run."""
    key = names.model_card_key(run)
    try:
        card = read_document(store, key, ModelCard)
    except KeyMissing:
        return None
    if card.run != run:
        raise damaged(key, f"{key}: run = {clip(card.run)}: expected {run}, whose model lies here")
    for part in ("test", "seal"):  # it is stored with both
        if getattr(card, part) is None:
            raise damaged(key, f"{key}: {part}: missing")
    return card


def check_seal(looks: Looks, dataset: str, why: str | None) -> None:
    """Raise BadStudy where the seal was opened before and nobody says why it is to be opened again."""
    if looks.openings and not (why or "").strip():
        raise BadStudy(
            f"the test split of dataset {dataset} was opened {_times(looks, dataset)}: a further look makes its "
            'figures optimistic; add --again "why" to take it, and every report will show it'
        )


def open_seal(store: Store, dataset: DatasetDocument, run: str, trial: int, epochs: int, why: str | None) -> Opening:
    """Record one more look, before it is taken; it is numbered within its dataset's folder."""
    number = 1 + max((opening.number for opening in list_openings(store, dataset.name)), default=0)
    while True:
        opening = Opening(
            dataset=dataset.name,
            number=number,
            run=run,
            trial=trial,
            epochs=epochs,
            dataset_digest=dataset.digest,
            opened=now(),
            why=why,
        )
        data = encode_document(opening)
        key = names.opening_key(dataset.name, number)
        # A retried write may find its own record.
        if store.write_new(key, data) or store.read(key) == data:
            return opening
        number += 1
