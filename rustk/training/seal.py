"""The seal on a dataset's test split: who looked at it, when, and why again.

A test split is worth as much as it has been looked at seldom. Every look is recorded beside the dataset before a single
test image is read, so that a crash can't hide one.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from rustk.store import Store
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy


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
