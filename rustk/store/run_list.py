"""Which runs a store holds, and which of them a name means."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from rustk.store.base import Store
from rustk.store.documents import RunDocument
from rustk.store.runs import check_run_name, read_own
from rustk.vocabulary import names
from rustk.vocabulary.checking import clip, did_you_mean
from rustk.vocabulary.errors import BadData, BadStudy, KeyMissing
from rustk.vocabulary.wording import counted

_READERS = 8
_SHOWN = 8


@dataclass(frozen=True)
class RunEntry:
    """A run of the store. document None: its study.json can't be read, `fault` says why."""

    run: str
    document: RunDocument | None
    fault: str = ""

    @property
    def planned_at(self) -> datetime | None:
        """When the run was first planned, as study.json says."""
        return None if self.document is None else self.document.planned_at


def read_entry(store: Store, run: str) -> RunEntry | None:
    """One run of the store, with its fault where its study.json can't be read; None where it has none."""
    try:
        return RunEntry(run, read_own(store, run))
    except KeyMissing:
        return None
    except BadData as error:
        return RunEntry(run, None, str(error))


def list_runs(store: Store) -> list[RunEntry]:
    """Every run of the store, the one planned last first; those that don't say when come last, by name."""
    with ThreadPoolExecutor(_READERS) as threads:
        entries = threads.map(lambda run: read_entry(store, run), store.folders(names.RUNS))
        return by_date(entry for entry in entries if entry is not None)


def by_date(entries: Iterable[RunEntry]) -> list[RunEntry]:
    """The entries, the run planned last first; those that don't say when come last, by name."""
    found = sorted(entries, key=lambda one: one.run)
    return sorted(found, key=lambda one: one.planned_at or datetime.min.replace(tzinfo=UTC), reverse=True)


def find_run(store: Store, name: str) -> str:
    """The run called `name`, or else the only run of the study `name`.

    Raises BadStudy for neither, for a study that has several runs (with their list), and for what can't be a name.
    """
    check_run_name(name)
    if store.exists(names.run_study_key(name)):
        return name
    runs = list_runs(store)
    if any(one.run == name for one in runs):  # something else lies in place of its study.json, which reading it says
        return name
    of_study = [one for one in runs if one.document is not None and one.document.study.name == name]
    if len(of_study) == 1:
        return of_study[0].run
    if of_study:
        listed = ", ".join(_told(one) for one in of_study[:_SHOWN])
        more = f" and {len(of_study) - _SHOWN} more" if len(of_study) > _SHOWN else ""
        raise BadStudy(f"the study {name} has {len(of_study)} runs in {store.url}: name one of {listed}{more}")
    if not runs:
        raise BadStudy(f"the store {store.url} has no runs yet: start one with `rustk submit STUDY`")
    unread = [one for one in runs if one.document is None]
    there = [one.run for one in runs]
    known = list(dict.fromkeys([*there, *(one.document.study.name for one in runs if one.document is not None)]))
    hint = did_you_mean(name, known) if len(there) <= _SHOWN else did_you_mean(name, known)[:400]
    if unread:
        hint += f"; of {counted(len(unread), 'run')} the study is not known: {unread[0].fault}"
    raise BadStudy(f"the store {store.url} has no run {clip(name)} and no run of a study of that name: {hint}")


def _told(entry: RunEntry) -> str:
    when = entry.planned_at
    return f"{entry.run} (planned {when:%Y-%m-%d %H:%M})" if when else entry.run
