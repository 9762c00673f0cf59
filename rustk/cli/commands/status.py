"""`rustk status`: where a run stands."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from rustk.cli.backend_options import BackendOption, NamespaceOption, backend_from, on_cluster
from rustk.cli.best_figure import MOST_READ, BestFigure, best_figure
from rustk.cli.context import JsonOption, StoreOption, settings, store_from
from rustk.cli.run_choice import RunArgument, chosen_run
from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.wording import counted, duration

if TYPE_CHECKING:
    from rich.console import Group

    from rustk.cli.commands.wait import GoingOn
    from rustk.planning.progress import RunProgress, State
    from rustk.store import Store
    from rustk.store.documents import RunDocument
    from rustk.store.progress import RunView

_REFRESH_SECONDS = 5.0
_BEST_AGAIN_SECONDS = 30.0
_SHOWN_FAILURES = 10
_SHOWN_REASONS = 5
# So many trials have a line each; of a race or of batches hundreds may have begun.
_SHOWN_TRIALS = 30
# So many trials that have not begun are told apart; more of them are one line.
_SHOWN_WAITING = 5


def status(
    run: RunArgument = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Keep it up to date until the run is complete.")] = False,
    json: JsonOption = False,
    backend: BackendOption = None,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
) -> None:
    """Show what of a run is done, running, pending (and why), failed (and why) or missing, and its best figure.

    The time left follows from the pace at which the last histories came into the store, by its own clock.
    """
    import json as json_module

    from rich.console import Console

    from rustk.store.progress import RunView

    if watch and json:
        raise BadStudy("--watch and --json don't go together: a script asks again")
    current = settings(store=store, backend=backend, kubernetes=on_cluster(namespace))
    opened = store_from(current)
    used = backend_from(current, opened, namespace=namespace)
    name = chosen_run(opened, run)
    best = _Best(opened, name)
    with used.observe(name, watched=watch) as source:
        view = RunView(opened, name, source)
        if watch:
            from rustk.cli.commands.wait import GoingOn

            _watch(view, best, GoingOn(used, opened, name))
            return
        progress = view.progress()
    best.look(progress)
    if json:
        document = view.document
        described = {
            "study": document.study.name,
            "dataset": document.dataset.name if document.dataset else None,
            "planned_at": document.planned_at.isoformat() if document.planned_at else None,
            "best": best.found.as_dict() if best.found else None,
        }
        typer.echo(json_module.dumps({**described, **progress.as_dict()}, indent=2))
        return
    Console().print(shown(progress, view.document, _said(best, view)))


def _watch(view: "RunView", best: "_Best", going_on: "GoingOn") -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    progress = view.progress()
    best.look(progress)
    with Live(
        shown(progress, view.document, _said(best, view), console.height), console=console, auto_refresh=False
    ) as live:
        while not progress.complete:
            view.wait(_REFRESH_SECONDS)
            progress = view.progress()
            # The rounds of a search go on only while somebody decides them.
            if progress.searches:
                going_on.tried(progress)
                if progress.complete:
                    going_on.close()
            best.look(progress)
            live.update(shown(progress, view.document, _said(best, view), console.height), refresh=True)


def _said(best: "_Best", view: "RunView") -> str:
    return "\n".join(sentence for sentence in (best.sentence, view.fault) if sentence)


class _Best:
    """The best figure so far, looked for again only when more folds are done, and not all the time."""

    def __init__(self, store: "Store", run: str) -> None:
        self.found: BestFigure | None = None
        self.sentence = ""
        self._store = store
        self._run = run
        self._done = 0
        self._looked = float("-inf")

    def look(self, progress: "RunProgress") -> None:
        """Look again, if that may have changed anything."""
        import time

        from rustk.store.rounds import RoundContradicted

        done = progress.counts["done"]
        recent = time.monotonic() - self._looked < _BEST_AGAIN_SECONDS and not progress.complete
        if done == self._done or len(progress.folds) > MOST_READ or recent:
            return
        self._done, self._looked = done, time.monotonic()
        try:
            self.found = best_figure(self._store, self._run)
            self.sentence = self.found.sentence() if self.found else ""
        except RoundContradicted:
            raise  # the search can't be gone on with, and what its rounds dropped is not to be believed
        except BadData as error:
            self.found, self.sentence = None, f"best so far: not known: {error}"


def shown(progress: "RunProgress", document: "RunDocument", best: str, height: int | None = None) -> "Group":
    """Where a run stands, for a terminal. height: its lines, which a view that is kept up to date must fit."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    counts, total = progress.counts, len(progress.folds)
    line = Text(f"{progress.run}  ", style="bold")
    line.append(", ".join(f"{number} {state}" for state, number in counts.items() if number), style="not bold")
    bar = Table.grid()  # a bar alone ends no line
    bar.add_row(ProgressBar(total=max(total, 1), completed=progress.finished, width=60))
    parts: list[object] = [line, bar, *(Text(said) for said in (_about(document), best, _times(progress)) if said)]
    reasons = [*_pending(progress), *_failed(progress), *_left(progress, document.study.name)]
    shown_trials, summary = _split(progress)
    room = _SHOWN_TRIALS if height is None else min(_SHOWN_TRIALS, max(1, height - 9 - len(reasons) - len(summary)))
    if left_out := len(shown_trials) - min(len(shown_trials), room):
        fuller = "" if height is not None and room < _SHOWN_TRIALS else " --json"
        shown_trials = dict(list(shown_trials.items())[:room])
        summary.append(f"({counted(left_out, 'trial')} more: rustk status {progress.run}{fuller})")
    if shown_trials:
        parts.append(_table(shown_trials))
    parts += [Text(said) for said in (*summary, *reasons)]
    return Group(*parts)  # type: ignore[arg-type]


def _about(document: "RunDocument") -> str:
    said = f"study {document.study.name}"
    if document.dataset:
        said += f", dataset {document.dataset.name}"
    if document.planned_at:
        said += f", planned {document.planned_at.astimezone():%Y-%m-%d %H:%M}"
    return said


def _split(progress: "RunProgress") -> "tuple[dict[int, Counter[State]], list[str]]":
    """The trials that deserve a line each, those where something happens first; and the others in a few words."""
    trials = progress.trials()
    finished = [trial for trial, counted_ in trials.items() if counted_["done"] == counted_.total()]
    dropped = [
        trial
        for trial, counted_ in trials.items()
        if counted_["dropped"] and counted_["done"] + counted_["dropped"] == counted_.total()
    ]
    waiting = [
        trial for trial, counted_ in trials.items() if counted_["pending"] + counted_["missing"] == counted_.total()
    ]
    summary = []
    if finished:
        all_of_them = "all " if len(finished) == len(trials) > 1 else ""
        summary.append(f"{all_of_them}{counted(len(finished), 'trial')} {_is(len(finished))} finished")
    if dropped:
        summary.append(
            f"{counted(len(dropped), 'trial')} {_is(len(dropped))} dropped in {counted(progress.rounds, 'round')}"
        )
    if progress.trials_to_come:
        summary.append(
            f"{counted(progress.trials_to_come, 'trial')} {_is(progress.trials_to_come)} still to be asked for"
        )
    if len(waiting) > _SHOWN_WAITING:
        summary.append(f"{counted(len(waiting), 'trial')} have not begun")
    else:
        waiting = []
    left_out = {*finished, *dropped, *waiting}
    told = {trial: counted_ for trial, counted_ in trials.items() if trial not in left_out}
    busy = sorted(told, key=lambda trial: not (told[trial]["running"] or told[trial]["failed"]))
    return {trial: told[trial] for trial in busy}, summary


def _table(trials: "dict[int, Counter[State]]") -> object:
    from rich.table import Table

    from rustk.planning.progress import STATES

    states = [state for state in STATES if state != "dropped" or any(of_trial[state] for of_trial in trials.values())]
    table = Table("trial", *states, box=None, pad_edge=False)
    for trial, of_trial in trials.items():
        cells = [str(of_trial[state]) if of_trial[state] else "·" for state in states]
        table.add_row(f"{trial:04d}", *cells)
    return table


def _pending(progress: "RunProgress") -> list[str]:
    from rustk.planning.reasons import grouped_reasons

    grouped = grouped_reasons(progress.in_state("pending"))
    lines = [f"{number} pending: {reason}" for number, reason in grouped[:_SHOWN_REASONS]]
    if rest := sum(number for number, _ in grouped[_SHOWN_REASONS:]):
        lines.append(f"{rest} pending for other reasons: rustk status {progress.run} --json lists them")
    return lines


def _failed(progress: "RunProgress") -> list[str]:
    failed = progress.in_state("failed", "no history")
    lines = [f"trial {f.trial} fold {f.fold} {f.state}: {f.reason}" for f in failed[:_SHOWN_FAILURES]]
    if len(failed) > _SHOWN_FAILURES:
        lines.append(f"(and {len(failed) - _SHOWN_FAILURES} more: rustk status {progress.run} --json lists them)")
    if failed:
        lines.append("submit with --retry-failed to try failed folds again")
    return lines


def _left(progress: "RunProgress", study: str) -> list[str]:
    """What there is to do when nothing goes on by itself."""
    if progress.complete:
        return [f"complete: rustk aggregate {progress.run}"]
    missing = progress.counts["missing"]
    if missing and not progress.moving:
        lost = counted(missing, "missing fold")
        return [f"nothing is at work on the {lost}: `rustk submit {study}`, with the options that it had, goes on"]
    if progress.trials_to_come and not progress.moving:
        return [f"nothing asks for the trials to come: `rustk submit {study}`, with the options that it had, goes on"]
    return []


def _times(progress: "RunProgress") -> str:
    parts = []
    # While nothing is at work, time goes by that is not the run's.
    if progress.elapsed_seconds is not None and (progress.moving or progress.complete):
        parts.append(f"elapsed {duration(progress.elapsed_seconds)}")
    if progress.time_left:
        parts.append(progress.time_left)
    if progress.gpu_hours is not None and progress.gpu_hours >= 0.005:
        parts.append(f"{progress.gpu_hours:.2f} GPU-hours of {counted(progress.gpu_hours_folds, 'fold')}")
    return ", ".join(parts)


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
