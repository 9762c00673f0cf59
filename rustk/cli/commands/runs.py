"""`rustk runs`: the runs of a store, and how to be rid of one."""

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustk.cli.backend_options import BackendOption, NamespaceOption, backend_from, on_cluster
from rustk.cli.best_figure import MOST_READ, BestFigure, best_figure
from rustk.cli.completion import complete_run_id
from rustk.cli.context import JsonOption, StoreOption, settings, store_from
from rustk.vocabulary.errors import BackendFailed, BadData, BadStudy, RustkError
from rustk.vocabulary.wording import counted

if TYPE_CHECKING:
    from rustk.planning.batches import FoldTask
    from rustk.store import Store
    from rustk.store.run_list import RunEntry

_READERS = 8
_DELETERS = 16

app = typer.Typer(invoke_without_command=True)


@dataclass(frozen=True)
class _Row:
    """One run. done and folds None: it is damaged. dropped: folds that a race ended before they were trained. unread:
    why its best figure is not known, where it should be."""

    entry: "RunEntry"
    done: int | None = None
    folds: int | None = None
    best: BestFigure | None = None
    dropped: int = 0
    unread: str = ""


@app.callback()
def runs(context: typer.Context, json: JsonOption = False, store: StoreOption = None) -> None:
    """List the runs of the store, the one planned last first: how many folds are done, and the best figure."""
    if context.invoked_subcommand is not None:
        return
    import json as json_module

    from rich.console import Console

    from rustk.store.run_list import list_runs

    opened = store_from(settings(store=store))
    rows = _rows(opened, list_runs(opened))
    if json:
        typer.echo(json_module.dumps([_as_dict(row) for row in rows], indent=2))
        return
    if not rows:
        typer.echo(f"the store {opened.url} has no runs yet: start one with `rustk submit STUDY`")
        return
    whole = [row for row in rows if row.entry.document is not None]
    if whole:
        Console().print(_table(whole))
    for row in rows:
        if row.entry.document is None:
            typer.echo(f"{row.entry.run} is damaged: {row.entry.fault}")
        elif row.unread:
            typer.echo(f"the best figure of {row.entry.run} is not known: {row.unread}")


@app.command()
def delete(
    run: Annotated[str, typer.Argument(help="The run's id: a study's name won't do.", autocompletion=complete_run_id)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also one with a final model, or that opened a test split.")
    ] = False,
    backend: BackendOption = None,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
) -> None:
    """Delete a run from the store, for good: its plan, histories, predictions, report and final model.

    That it opened a dataset's test split stays on record with the dataset.
    """
    from concurrent.futures import ThreadPoolExecutor

    from rustk.store.run_list import find_run
    from rustk.store.runs import check_run_name
    from rustk.vocabulary import names

    check_run_name(run)
    on = on_cluster(namespace)
    current = settings(store=store, backend=backend, kubernetes=on)
    opened = store_from(current)
    if backend is None and (last := _last_backend(opened, run)) is not None:
        current = settings(store=store, backend=last, kubernetes=on)
    keys = [entry.key for entry in opened.list(names.run_prefix(run))]
    if not keys:
        # Raises for a name that is no study's either; a study with several runs is told them.
        found = find_run(opened, run)
        raise BadStudy(f"{run} is a study: name the run to delete, {found}")
    used = backend_from(current, opened, namespace=namespace)
    _refuse_while_at_work(used.observe(run), run)
    if not force:
        _refuse_final(opened, run)
    histories = sum(key.startswith(names.histories_prefix(run)) for key in keys)
    holds = f"run {run} of {opened.url} ({counted(histories, 'fold')} done, {counted(len(keys), 'file')})"
    if not yes and not _confirmed(f"Delete {holds} for good?"):
        raise RustkError("nothing was deleted")
    # The plan first: what is left by a command that was cut off is no run any more, and the next delete ends it.
    opened.delete(names.run_study_key(run))
    with ThreadPoolExecutor(_DELETERS) as threads:
        list(threads.map(opened.delete, keys))
    typer.echo(f"deleted {holds}")


def _last_backend(store: "Store", run: str) -> str | None:
    """What a run was last submitted to: where something may be at work on it, whatever the settings say by now."""
    from rustk.store.documents import Submission, read_document
    from rustk.vocabulary import names
    from rustk.vocabulary.kinds import kinds

    entries = store.list(names.submissions_prefix(run))
    if not entries:
        return None
    try:
        backend = read_document(store, entries[-1].key, Submission).backend
    except BadData:
        return None
    return backend if backend in kinds("backends") else None


def _confirmed(question: str) -> bool:
    import sys

    if not sys.stdin.isatty():
        raise BadStudy("there is no terminal to ask on: add --yes to delete the run")
    return typer.confirm(question)


def _refuse_while_at_work(observed: Any, run: str) -> None:
    from datetime import UTC, datetime

    try:
        with observed as source:
            folds = source.live_folds(datetime.now(UTC)).folds
        alive = [fold for fold in folds if fold.state in ("running", "pending")]
    except BackendFailed as error:
        raise RustkError(
            f"whether something is at work on run {run} is not known: {error}; where that backend is gone for good, "
            "name another with --backend"
        ) from None
    if alive:
        raise BadStudy(
            f"{counted(len(alive), 'fold')} of run {run} {'is' if len(alive) == 1 else 'are'} being trained: end that "
            f"first with `rustk cancel {run}`"
        )


def _refuse_final(store: "Store", run: str) -> None:
    """Raise BadStudy for a run with a final model, or one that opened a test split."""
    from rustk.store.seal import list_openings
    from rustk.vocabulary import names

    if store.exists(names.model_key(run)) or store.exists(names.model_card_key(run)):
        raise BadStudy(f"run {run} has a final model: add --force to delete that too")
    for dataset in store.folders(names.DATASETS):  # also of one that is no longer whole
        if any(opening.run == run for opening in list_openings(store, dataset)):
            raise BadStudy(
                f"run {run} opened the test split of dataset {dataset}, and is the record of what for: add --force to "
                "delete it"
            )


def _rows(store: "Store", entries: "list[RunEntry]") -> list[_Row]:
    from concurrent.futures import ThreadPoolExecutor

    from rustk.planning.rounds import dropped_folds
    from rustk.store.rounds import read_rounds
    from rustk.store.runs import done_tasks, planned_tasks, search_of

    def row(entry: "RunEntry") -> _Row:
        if entry.document is None:
            return _Row(entry)
        tasks = set(planned_tasks(entry.document))
        done, search = done_tasks(store, entry.run) & tasks, search_of(entry.document)
        dropped: set[FoldTask] = set()
        if search.is_decided_in_rounds:
            with contextlib.suppress(BadData):  # `rustk status` says why
                dropped = set(dropped_folds(read_rounds(store, entry.run), entry.document.planned.folds)) - done
        to_come = max(0, search.trials - entry.document.planned.trials) * entry.document.planned.folds
        return _Row(entry, len(done), len(tasks) + to_come, dropped=len(dropped))

    with ThreadPoolExecutor(_READERS) as threads:
        rows = list(threads.map(row, entries))
    # Those planned last are of most interest: older ones must not make the list take minutes.
    left = MOST_READ
    with_best = []
    for one in rows:
        best, unread = None, ""
        done = one.done or 0
        if one.folds and done + one.dropped == one.folds and done <= left:
            left -= done
            try:
                best = best_figure(store, one.entry.run)
            except BadData as error:
                unread = str(error)
        with_best.append(replace(one, best=best, unread=unread))
    return with_best


def _as_dict(row: _Row) -> dict[str, Any]:
    document, planned_at = row.entry.document, row.entry.planned_at
    return {
        "run": row.entry.run,
        "study": document.study.name if document else None,
        "dataset": document.dataset.name if document and document.dataset else None,
        "planned_at": planned_at.isoformat() if planned_at else None,
        "done": row.done,
        "folds": row.folds,
        "dropped": row.dropped,
        "best": row.best.as_dict() if row.best else None,
        "fault": row.entry.fault or row.unread or None,
    }


def _table(rows: list[_Row]) -> object:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for head in ("run", "study", "dataset"):
        table.add_column(head, overflow="fold", min_width=len(head))
    for head in ("done", "best", "planned"):
        table.add_column(head, no_wrap=True)
    for row in rows:
        document, planned_at = row.entry.document, row.entry.planned_at
        table.add_row(
            row.entry.run,
            document.study.name if document else "",
            document.dataset.name if document and document.dataset else "",
            f"{row.done} of {row.folds}" + (f", {row.dropped} dropped" if row.dropped else ""),
            f"{row.best.val_auroc:.4f}" if row.best else "·",
            f"{planned_at.astimezone():%Y-%m-%d %H:%M}" if planned_at else "·",
        )
    return table
