"""`rustk runs`: the runs of a store."""

from typing import TYPE_CHECKING

import typer

from rustk.cli.context import JsonOption, StoreOption, settings, store_from

if TYPE_CHECKING:
    from rustk.store import Store


def runs(json: JsonOption = False, store: StoreOption = None) -> None:
    """List the runs of the store, the one planned last first, and how many of their folds are done."""
    import json as json_module
    from concurrent.futures import ThreadPoolExecutor

    from rich.console import Console
    from rich.table import Table

    from rustk.store.runs import list_runs

    opened = store_from(settings(store=store))
    entries = list_runs(opened)
    with ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(lambda entry: _counts(opened, entry.run), entries))
    if json:
        listed = [
            {"run": entry.run, "planned_at": entry.modified.isoformat(), "done": done, "folds": total}
            for entry, (done, total) in zip(entries, counts, strict=True)
        ]
        typer.echo(json_module.dumps(listed, indent=2))
        return
    if not entries:
        typer.echo(f"the store {opened.url} has no runs yet: start one with `rustk submit STUDY`")
        return
    table = Table("run", "done", "planned", box=None, pad_edge=False)
    for entry, (done, total) in zip(entries, counts, strict=True):
        table.add_row(entry.run, f"{done} of {total}", entry.modified.astimezone().strftime("%Y-%m-%d %H:%M"))
    Console().print(table)


def _counts(store: "Store", run: str) -> tuple[int, int]:
    from rustk.cli.observing import planned_tasks
    from rustk.store.runs import done_tasks

    tasks = planned_tasks(store, run)
    return len(done_tasks(store, run) & set(tasks)), len(tasks)
