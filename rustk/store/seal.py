"""The seal on a dataset's test split: who looked at it, when, and why again.

A test split is worth as much as it has been looked at seldom. Every look is recorded beside the dataset before a single
test image is read, so that a crash can't hide one. The command line asks `may_look` before it starts a worker.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rustk.store.base import Store
from rustk.store.card import ModelCard
from rustk.store.documents import DatasetDocument, Opening, encode_document, now, read_document
from rustk.store.remedies import damaged
from rustk.vocabulary import names
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadData, BadStudy, KeyMissing

_LONGEST_WHY = 500


def list_openings(store: Store, dataset: str) -> list[Opening]:
    """Every look at the dataset's test split, the first one first. Raises BadData for a record that can't be read."""
    keys = [entry.key for entry in store.list(names.openings_prefix(dataset)) if entry.key.endswith(".json")]
    openings = [_read_opening(store, key) for key in keys]
    return sorted(openings, key=lambda opening: opening.number)


def _read_opening(store: Store, key: str) -> Opening:
    number = names.parse_opening_key(key)
    if number is None:
        raise BadData(f"{key}: not the name of a record: expected 0001.json and its kind: move the file elsewhere")
    opening = read_document(store, key, Opening)
    if opening.number != number:
        raise damaged(key, f"{key}: number = {opening.number}: expected that of the file's name")
    return opening


def seal_sentence(openings: Sequence[Opening]) -> str:
    """How often the seal was opened, in words."""
    if not openings:
        return "The test split has not been looked at."
    last = openings[-1]
    times = "once" if last.number == 1 else f"{last.number} times"
    further = "" if last.number == 1 else " Each further look makes its figures more optimistic."
    lost = last.number - len(openings)
    gone = f" The records of {lost} of these looks are missing." if lost else ""
    return f"The test split was opened {times}, last by run {last.run} on {last.opened:%Y-%m-%d}.{further}{gone}"


@dataclass(frozen=True)
class Standing:
    """What there is of a run's final model. Both None: it is to be trained, and the seal to be opened for it."""

    finished: ModelCard | None = None  # of this very model, with its test: nothing is left to do
    taken: Opening | None = None  # the look that was recorded for this very model when it was interrupted


def may_look(store: Store, dataset: str, run: str, trial: int, epochs: int, why: str | None) -> Standing:
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
    openings = list_openings(store, dataset)
    if openings:
        last = openings[-1]
        ours = (last.run, last.trial, last.epochs) == (run, trial, epochs)
        tested = card is not None and card.seal is not None and card.seal.opening == last.number
        if ours and not tested:
            return Standing(taken=last)
    check_seal(openings, dataset, why)
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


def check_seal(openings: Sequence[Opening], dataset: str, why: str | None) -> None:
    """Raise BadStudy where the seal was opened before and nobody says why it is to be opened again."""
    if openings and not (why or "").strip():
        last = openings[-1]
        times = "once" if last.number == 1 else f"{last.number} times"
        raise BadStudy(
            f"the test split of dataset {dataset} was opened {times}, last by run {last.run} on "
            f'{last.opened:%Y-%m-%d}: a further look makes its figures optimistic; add --again "why" to take it, and '
            "every report will show it"
        )


def open_seal(store: Store, dataset: DatasetDocument, run: str, trial: int, epochs: int, why: str | None) -> Opening:
    """Record one more look, before it is taken."""
    number = 1 + max((opening.number for opening in list_openings(store, dataset.name)), default=0)
    while True:
        opening = Opening(
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
