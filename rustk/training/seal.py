"""The seal on a dataset's test split: who looked at it, when, and why again.

A test split is worth as much as it has been looked at seldom. Every look is recorded beside the dataset before a single
test image is read, so that a crash can't hide one. Nothing here imports TensorFlow: the command line asks `may_look`
before it starts a worker.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from rustk.store import Store
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy, KeyMissing


@dataclass(frozen=True)
class Opening:
    """One look at a test split: the `number`-th of its dataset, from 1."""

    number: int
    run: str
    trial: int
    epochs: int
    dataset_digest: str
    opened: str  # ISO 8601, UTC
    why: str | None  # it was opened again


def list_openings(store: Store, dataset: str) -> list[Opening]:
    """Every look at the dataset's test split, the first one first. Raises BadData for a record that can't be read."""
    prefix = names.opening_key(dataset, 0).rpartition("/")[0] + "/"
    openings = []
    for entry in store.list(prefix):
        try:
            fields = json.loads(store.read(entry.key))
            openings.append(Opening(**{name: fields[name] for name in Opening.__dataclass_fields__}))
        except (ValueError, KeyError, TypeError) as error:
            raise BadData(f"{entry.key} does not record an opening: {error}") from None
    return sorted(openings, key=lambda opening: opening.number)


@dataclass(frozen=True)
class Standing:
    """What there is of a run's final model. Both None: it is to be trained, and the seal to be opened for it."""

    finished: Mapping[str, Any] | None = None  # the card of this very model, with its test: nothing is left to do
    taken: Opening | None = None  # the look that was recorded for this very model when it was interrupted


def may_look(store: Store, dataset: str, run: str, trial: int, epochs: int, why: str | None) -> Standing:
    """Where a run's final model stands, trained as its trial says for so many epochs.

    Raises BadStudy where the seal was opened before for anything else, and nobody says why it is to be opened again.
    """
    card = read_card(store, run)
    described = card is not None and (card["chosen"]["trial"], card["chosen"]["epochs"]) == (trial, epochs)
    # The same reason again is the same look: a container that is tried again after its last write takes no second one.
    if card is not None and described and why in (None, card["seal"].get("why")):
        return Standing(finished=card)
    openings = list_openings(store, dataset)
    if openings:
        last = openings[-1]
        ours = (last.run, last.trial, last.epochs) == (run, trial, epochs)
        tested = card is not None and card["seal"]["opening"] == last.number
        if ours and not tested:
            return Standing(taken=last)
    check_seal(openings, dataset, why)
    return Standing()


def read_card(store: Store, run: str) -> dict[str, Any] | None:
    """The card of a run's final model; None while there is none. Raises BadData for one that can't be read."""
    key = names.model_card_key(run)
    try:
        card: dict[str, Any] = json.loads(store.read(key))
        card["chosen"]["trial"], card["chosen"]["epochs"], card["seal"]["opening"]
    except KeyMissing:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(f"{key} does not describe a final model ({error!r}): delete it to train the model anew") from None
    return card


def check_seal(openings: list[Opening], dataset: str, why: str | None) -> None:
    """Raise BadStudy where the seal was opened before and nobody says why it is to be opened again."""
    if openings and not why:
        last = openings[-1]
        times = "once" if len(openings) == 1 else f"{len(openings)} times"
        raise BadStudy(
            f"the test split of dataset {dataset} was opened {times}, last by run {last.run} on {last.opened[:10]}: a "
            'further look makes its figures optimistic; say --again "why" to take it, and every report will show it'
        )


def open_seal(store: Store, dataset: Mapping[str, Any], run: str, trial: int, epochs: int, why: str | None) -> Opening:
    """Record one more look, before it is taken."""
    number = 1 + max((opening.number for opening in list_openings(store, dataset["name"])), default=0)
    while True:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        opening = Opening(number, run, trial, epochs, dataset["digest"], now, why)
        data = (json.dumps({"schema": 1, **asdict(opening)}, indent=1, sort_keys=True) + "\n").encode()
        key = names.opening_key(dataset["name"], number)
        # A retried write may find its own record.
        if store.write_new(key, data) or store.read(key) == data:
            return opening
        number += 1
