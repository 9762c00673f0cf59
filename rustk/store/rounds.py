"""The rounds of a search as they lie in a store: one chain of small files, each written once."""

from concurrent.futures import ThreadPoolExecutor

from rustk.store.base import Store
from rustk.store.documents import Round, encode_document, parse_document
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, KeyMissing

_READERS = 8


class RoundContradicted(BadData):
    """Rounds that can't be gone on with: one is damaged, missing, or not what the run's files would give."""


def contradicted(run: str, number: int, why: str) -> RoundContradicted:
    """The error of a round that does not follow from what it was decided on, with what to do about it."""
    return RoundContradicted(
        f"{names.round_key(run, number)}: {why}: put back the file as it was written, or remove it and those after it "
        "to have them decided again"
    )


def read_rounds(store: Store, run: str, known: tuple[Round, ...] = ()) -> tuple[Round, ...]:
    """The rounds of a run that are decided, the first one first; `known` ones are not read again.

    Raises RoundContradicted for a chain that has a gap, and for a file that can't be read.
    """
    found = sorted(
        number
        for entry in store.list(names.rounds_prefix(run))
        if (number := names.parse_round_key(entry.key)) is not None
    )
    if found != list(range(1, len(found) + 1)):
        gap = next(number for number in range(1, len(found) + 2) if number not in found)
        raise RoundContradicted(
            f"{names.round_key(run, gap)} is missing, while {names.round_key(run, found[-1])} is there: put it back, "
            "or remove those after it to have them decided again"
        )
    known = known[: len(found)]
    with ThreadPoolExecutor(_READERS) as threads:
        later = threads.map(lambda number: _read(store, run, number), found[len(known) :])
        return (*known, *later)


def put_round(store: Store, run: str, decided: Round) -> Round:
    """Write a round if nobody has; the one that is there now."""
    key = names.round_key(run, decided.number)
    if store.write_new(key, encode_document(decided)):
        return decided
    try:
        return _read(store, run, decided.number)
    except KeyMissing:
        raise BadData(f"{key} was removed while the round was decided: try again") from None


def _read(store: Store, run: str, number: int) -> Round:
    key = names.round_key(run, number)
    try:
        found = parse_document(Round, store.read(key), key)
    except BadData as error:
        raise contradicted(run, number, str(error).removeprefix(f"{key}: ")) from None
    if found.number != number:
        raise contradicted(run, number, f"number = {found.number}: expected {number}")
    return found
