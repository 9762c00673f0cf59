"""What the shell offers after Tab: studies, runs, datasets, instruments and backends by name."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rustk.vocabulary.errors import RustkError

if TYPE_CHECKING:
    from rustk.store.run_list import RunEntry


def _offer(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """A completer over `names`; a store that can't be read offers nothing, since a half-typed line is no place to say
    why."""

    def complete(incomplete: str) -> list[str]:
        try:
            return [name for name in names() if name.startswith(incomplete)]
        except RustkError:
            return []

    return complete


def _studies() -> Iterable[str]:
    from rustk.cli.context import study_names

    return study_names()


def _entries() -> "list[RunEntry]":
    from rustk.cli.context import settings, store_from
    from rustk.store.run_list import list_runs

    return list_runs(store_from(settings()))


def _runs() -> Iterable[str]:
    found = _entries()
    studies = {entry.document.study.name for entry in found if entry.document is not None}
    return [*(entry.run for entry in found), *sorted(studies)]


def _run_ids() -> Iterable[str]:
    return [entry.run for entry in _entries()]


def _datasets() -> Iterable[str]:
    from rustk.cli.context import settings, store_from
    from rustk.store.datasets import list_datasets

    return list_datasets(store_from(settings()))


def _instruments() -> Iterable[str]:
    from rustk.vocabulary.instrument import instrument_names

    return instrument_names()


def _backends() -> Iterable[str]:
    from rustk.vocabulary.kinds import kinds

    return kinds("backends")


complete_study = _offer(_studies)
complete_run = _offer(_runs)
complete_run_id = _offer(_run_ids)
complete_dataset = _offer(_datasets)
complete_instrument = _offer(_instruments)
complete_backend = _offer(_backends)
