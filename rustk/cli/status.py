"""`rustk status`: where a run stands."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from rustk.cli.cluster import BackendOption, NamespaceOption, on_cluster
from rustk.cli.context import JsonOption, StoreOption, settings, store_from
from rustk.cli.observing import RunArgument, RunView, run_name, viewed

if TYPE_CHECKING:
    from rich.console import Group

    from rustk.planning.progress import RunProgress, State

_REFRESH_SECONDS = 5.0
_SHOWN_FAILURES = 10
_SHOWN_REASONS = 5


def status(
    run: RunArgument = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Keep it up to date until the run is complete.")] = False,
    json: JsonOption = False,
    backend: BackendOption = None,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
) -> None:
    """Show what of a run is done, running, pending (and why), failed (and why) or missing."""
    import json as json_module

    from rich.console import Console

    from rustk.vocabulary.errors import BadStudy

    if watch and json:
        raise BadStudy("--watch and --json don't go together: a script asks again")
    current = settings(store=store, backend=backend, kubernetes=on_cluster(namespace))
    opened = store_from(current)
    name = run_name(opened, run)
    with viewed(current, opened, name, watched=watch) as view:
        if watch:
            _watch(view)
            return
        progress = view.progress()
    if json:
        typer.echo(json_module.dumps(progress.as_dict(), indent=2))
        return
    Console().print(shown(progress))


def _watch(view: RunView) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    progress = view.progress()
    with Live(shown(progress, console.height), console=console, auto_refresh=False) as live:
        while not progress.complete:
            view.wait(_REFRESH_SECONDS)
            progress = view.progress()
            live.update(shown(progress, console.height), refresh=True)


def shown(progress: "RunProgress", height: int | None = None) -> "Group":
    """The run as a terminal shows it; `height` leaves out trials that would not fit, those at rest first."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    from rustk.planning.progress import STATES

    counts, total = progress.counts, len(progress.folds)
    line = Text(f"{progress.run}  ", style="bold")
    line.append(", ".join(f"{number} {state}" for state, number in counts.items() if number), style="not bold")
    bar = Table.grid()  # a bar alone ends no line
    bar.add_row(ProgressBar(total=max(total, 1), completed=counts["done"], width=60))
    parts: list[object] = [line, bar]
    parts.append(Text(_times(progress), style="dim"))
    reasons = [*_pending(progress), *_failed(progress)]
    trials = progress.trials()
    if height is not None and len(trials) > (room := max(1, height - 8 - len(reasons))):
        moving = {t: c for t, c in trials.items() if c["running"] or c["failed"]}
        left_out = len(trials) - len(moving)
        trials = dict(list(moving.items())[:room])
        reasons.append(f"({left_out} trials at rest are not shown: rustk status {progress.run} lists them)")
    table = Table("trial", *STATES, box=None, pad_edge=False)
    for trial, counted in trials.items():
        table.add_row(f"{trial:04d}", *_cells(counted))
    parts.append(table)
    parts += [Text(reason) for reason in reasons]
    return Group(*parts)  # type: ignore[arg-type]


def _cells(counted: "Counter[State]") -> list[str]:
    from rustk.planning.progress import STATES

    return [str(counted[state]) if counted[state] else "·" for state in STATES]


def _pending(progress: "RunProgress") -> list[str]:
    waiting = Counter(fold.reason for fold in progress.in_state("pending") if fold.reason)
    return [f"{count} pending: {reason}" for reason, count in waiting.most_common(_SHOWN_REASONS)]


def _failed(progress: "RunProgress") -> list[str]:
    failed = progress.in_state("failed", "no history")
    lines = [f"trial {f.trial} fold {f.fold} {f.state}: {f.reason}" for f in failed[:_SHOWN_FAILURES]]
    if len(failed) > _SHOWN_FAILURES:
        lines.append(f"(and {len(failed) - _SHOWN_FAILURES} more: rustk status {progress.run} --json lists them)")
    if failed:
        lines.append("submit with --retry-failed to try failed folds again")
    return lines


def _times(progress: "RunProgress") -> str:
    parts = []
    if progress.elapsed_seconds is not None:
        parts.append(f"elapsed {duration(progress.elapsed_seconds)}")
    if progress.eta_seconds is not None and not progress.complete:
        parts.append(f"about {duration(progress.eta_seconds)} left")
    if progress.gpu_hours is not None:
        known = progress.gpu_hours_folds
        parts.append(f"{progress.gpu_hours:.2f} GPU-hours of {known} fold{'s' * (known != 1)}")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as a person reads them: 48s, 12m 05s, 3h 20m, 2d 4h."""
    whole = round(seconds)
    for unit, size, smaller, smaller_size in (("d", 86_400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // smaller_size:02d}{smaller}"
    return f"{whole}s"
