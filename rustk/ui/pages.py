"""From what is known to what the templates show; nothing is asked for here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rustk.planning.progress import FoldStatus, RunProgress
from rustk.planning.reasons import grouped_reasons
from rustk.report.data.numbers import format_mean
from rustk.store.documents import Round
from rustk.ui.curves import MOST_CURVES, best_curves, fold_curves
from rustk.ui.figures import Figures, TrialFigure
from rustk.ui.runs import RunsState, RunState
from rustk.ui.words import ago, counts_sentence, describe, moment, searched, short_state
from rustk.vocabulary.wording import counted, duration

# So many cells of the matrix stand on one page: a browser lays them out in a moment.
_MOST_CELLS = 1500
_FEWEST_ROWS = 20
_BEST_TRIALS = 10
_REASONS = 8
_FAILURES = 20
_UNFINISHED = ("running", "pending", "failed", "no history", "missing")
_FAILED = ("failed", "no history")
SHOWN = {"all": "all trials", "unfinished": "unfinished", "failed": "failed"}


@dataclass(frozen=True)
class Part:
    """Which part of the matrix is asked for: trials of which kind, and which page of them, from 1."""

    show: str = "all"
    page: int = 1


def runs_page(state: RunsState) -> dict[str, Any]:
    """All runs of the store."""
    rows = []
    for row in state.rows:
        document = row.entry.document
        best = row.best
        rows.append(
            {
                "run": row.entry.run,
                "fault": row.entry.fault,
                "study": document.title if document else "",
                "dataset": document.dataset.name if document and document.dataset else "",
                "done": row.done,
                "finished": row.done + row.dropped,
                "dropped": row.dropped,
                "folds": row.folds,
                "failed": row.failed,
                "best": format_mean(best.merit) if best else "",
                "best_of": f"trial {best.trial} at epoch {best.epoch}, {counted(best.folds, 'fold')}" if best else "",
                "planned": moment(row.entry.planned_at),
                "last": ago(row.last),
            }
        )
    finished = sum(row.finished for row in state.rows)
    return {
        "rows": rows,
        "fault": state.fault,
        "looked_at": state.looked_at,
        "announce": f"{counted(len(rows), 'run')}, {finished} finished" if state.looked_at else "",
        "alarm": "",
    }


def run_page(state: RunState, figures: Figures, part: Part) -> dict[str, Any]:
    """One run. Raises ValueError for a state without progress."""
    document, progress = state.document, state.progress
    if document is None or progress is None:
        raise ValueError("nothing is known of the run")
    names = searched(state.trials)
    ranked, by_trial, faults = figures.ranked(state.dropped), figures.trials(), figures.faults()
    planned = document.planned.folds
    failed = [fold for fold in progress.folds if fold.state in _FAILED]
    best = ranked[0] if ranked and ranked[0].trial not in state.dropped else None
    return {
        "run": state.run,
        "title": document.title,
        "study": document.study.name,
        "description": document.study.description,
        "dataset": document.dataset.name if document.dataset else "",
        "planned": moment(document.planned_at),
        "complete": progress.complete,
        "share": f"{progress.finished / max(1, len(progress.folds)):.0%}",
        "counts": [(name, number) for name, number in progress.counts.items() if number or name == "done"],
        "finished": progress.finished,
        "folds": len(progress.folds),
        "facts": _facts(progress, figures, best),
        "remark": state.remark,
        "unread": state.unread,
        "best": _best_sentence(best, state.trials, names, planned),
        "chart": best_curves(ranked),
        "legend": [(place, one.trial, f"{one.merit:.4f}") for place, one in enumerate(ranked[:MOST_CURVES], start=1)],
        "ranked": [
            {
                "rank": rank,
                "trial": one.trial,
                "chosen": describe(state.trials, one.trial, names),
                "merit": format_mean(one.merit, one.deviation),
                "epoch": one.epoch,
                "folds": f"{one.folds} of {planned}",
                "note": _note(one, planned, state.dropped.get(one.trial)),
            }
            for rank, one in enumerate(ranked[:_BEST_TRIALS], start=1)
        ],
        "with_figure": len(ranked),
        "searched": bool(names),
        "rounds": [_round(one) for one in state.rounds],
        "matrix": _matrix(state, by_trial, faults, names, part, planned),
        "waiting": [f"{counted(number, 'fold')}: {why}" for number, why in _waiting(progress)],
        "failures": [_failure(fold) for fold in failed[:_FAILURES]],
        "more_failures": max(0, len(failed) - _FAILURES),
        "faults": [(trial, fold, why) for (trial, fold), why in sorted(faults.items())[:_FAILURES]],
        "reported": state.reported,
        "at_rest": not progress.moving and not progress.complete,
        "looked_at": state.looked_at,
        "announce": counts_sentence(progress),
        "alarm": f"{counted(len(failed), 'fold')} failed" if failed else "",
    }


def fold_page(
    state: RunState, figures: Figures, trial: int, fold: int, log: tuple[Sequence[str], str]
) -> dict[str, Any] | None:
    """One fold; None for one that was not planned."""
    found = next((one for one in state.by_trial.get(trial, ()) if one.fold == fold), None)
    if found is None or state.document is None:
        return None
    names = searched(state.trials)
    history = figures.history(trial, fold)
    fault = figures.faults().get((trial, fold), "")
    planned = state.document.planned
    lines, no_log = log
    curves = fold_curves(history) if history is not None and history.rows.num_rows else []
    return {
        "run": state.run,
        "title": state.document.title,
        "trial": trial,
        "fold": fold,
        "state": found.state,
        "reason": found.reason,
        "fault": fault,
        "chosen": describe(state.trials, trial, names),
        "curves": curves,
        "facts": _fold_facts(history) if history is not None else [],
        "log": lines,
        "no_log": no_log,
        "neighbours": [(number, number == fold) for number in range(planned.folds)],
        "earlier": trial - 1 if trial > 0 else None,
        "later": trial + 1 if trial + 1 < planned.trials else None,
        "remark": state.remark,
        "looked_at": state.looked_at,
        "announce": f"trial {trial} fold {fold}: {found.state}{f', {found.reason}' if found.reason else ''}",
        "alarm": f"trial {trial} fold {fold} failed" if found.state in _FAILED else "",
    }


def _facts(progress: RunProgress, figures: Figures, best: TrialFigure | None) -> list[tuple[str, str, str]]:
    """(what, the figure, what belongs to it) for the head of a run's page."""
    facts = []
    if best is not None:
        facts.append(("Best validation AUROC", format_mean(best.merit), f"trial {best.trial}, epoch {best.epoch}"))
    if progress.time_left:
        note = "at the pace of the last folds" + (", if nothing more is dropped" if progress.races else "")
        facts.append(("Time left", progress.time_left.removesuffix(" left"), note))
    # While nothing is at work, time goes by that is not the run's.
    if progress.elapsed_seconds is not None and (progress.moving or progress.complete):
        facts.append(("Elapsed", duration(progress.elapsed_seconds), "since it was first submitted"))
    if progress.gpu_hours is not None:
        facts.append(("GPU-hours", f"{progress.gpu_hours:.2f}", f"of {counted(progress.gpu_hours_folds, 'fold')}"))
    if progress.trials_to_come:
        facts.append(("Trials to come", f"{progress.trials_to_come:,}", "that the search will ask for"))
    seconds, told = figures.device_seconds()
    if told:
        facts.append(("Device time", duration(seconds), f"of {counted(told, 'finished fold')}"))
    return facts


def _best_sentence(
    best: TrialFigure | None, trials: Sequence[Mapping[str, Any]], names: Sequence[str], planned: int
) -> str:
    if best is None:
        return ""
    chosen = describe(trials, best.trial, names)
    return (
        f"Best so far: trial {best.trial}{f' ({chosen})' if chosen else ''}, validation AUROC "
        f"{format_mean(best.merit)} at epoch {best.epoch}, the mean over {best.folds} of {counted(planned, 'fold')}."
    )


def _note(one: TrialFigure, planned: int, dropped: int | None) -> str:
    """What a reader must know of a trial, but for its folds, which stand beside it."""
    note = one.note.removeprefix(f"{one.folds} of {planned} folds").removeprefix("; ")
    return "; ".join(part for part in (f"dropped in round {dropped}" if dropped else "", note) if part)


def _matrix(
    state: RunState,
    by_trial: Mapping[int, TrialFigure],
    faults: Mapping[tuple[int, int], str],
    names: Sequence[str],
    part: Part,
    planned: int,
) -> dict[str, Any]:
    kinds = {
        "all": list(state.by_trial),
        "unfinished": [t for t, folds in state.by_trial.items() if any(one.state in _UNFINISHED for one in folds)],
        "failed": [t for t, folds in state.by_trial.items() if any(one.state in _FAILED for one in folds)],
    }
    chosen = kinds[part.show]
    rows = max(_FEWEST_ROWS, _MOST_CELLS // max(1, planned))
    pages = max(1, math.ceil(len(chosen) / rows))
    page = min(part.page, pages)
    shown = chosen[(page - 1) * rows : page * rows]
    return {
        "folds": list(range(planned)),
        "rows": [
            {
                "trial": trial,
                "merit": format_mean(one.merit) if (one := by_trial.get(trial)) and one.merit is not None else "",
                "chosen": describe(state.trials, trial, names),
                "cells": [_cell(fold, by_trial.get(trial), faults) for fold in state.by_trial[trial]],
            }
            for trial in shown
        ],
        "kinds": [(kind, SHOWN[kind], len(trials), kind == part.show) for kind, trials in kinds.items()],
        "show": part.show,
        "page": page,
        "pages": pages,
        "first": shown[0] if shown else 0,
        "last": shown[-1] if shown else 0,
        "trials": len(chosen),
    }


def _cell(
    fold: FoldStatus, figure: TrialFigure | None, faults: Mapping[tuple[int, int], str]
) -> tuple[int, str, str, str]:
    """(fold, its class, what stands in the cell, what it is called)."""
    text = short_state(fold)
    if fold.state == "done":
        value = figure.by_fold.get(fold.fold) if figure else None
        text = f"{value:.3f}" if value is not None else "done"
        if (fold.trial, fold.fold) in faults:
            text = "damaged"
    state = "" if fold.state == text else f" {fold.state}"
    return fold.fold, fold.state.replace(" ", "-"), text, f"trial {fold.trial} fold {fold.fold}:{state} {text}"


def _waiting(progress: RunProgress) -> list[tuple[int, str]]:
    grouped = grouped_reasons(progress.in_state("pending"))
    rest = sum(number for number, _ in grouped[_REASONS:])
    return grouped[:_REASONS] + ([(rest, "other reasons")] if rest else [])


def _failure(fold: FoldStatus) -> dict[str, Any]:
    return {"trial": fold.trial, "fold": fold.fold, "state": fold.state, "reason": fold.reason}


def _round(one: Round) -> dict[str, Any]:
    return {
        "number": one.number,
        "trials": len(one.trials),
        "folds": ", ".join(map(str, one.folds)),
        "kept": len(one.kept),
        "asked": len(one.asked),
        "decided": moment(one.decided_at),
        "dropped": [f"trial {dropped.trial}: {dropped.why}" for dropped in one.dropped],
    }


def _fold_facts(history: Any) -> list[tuple[str, str]]:
    """What was in effect, and what the fold says of itself."""
    said = history.metadata
    outcome = said.outcome or ""
    if said.diverged_epoch:
        outcome = f"{outcome} at epoch {said.diverged_epoch}"
    groups = (
        ("", {"outcome": outcome, "ended": moment(said.ended_at), "device": said.device, "features": said.features}),
        ("", said.in_effect),
        ("images of ", said.samples),
        ("seed of ", said.seeds),
        ("seconds of ", {name: f"{seconds:.1f}" for name, seconds in said.phases_seconds.items()}),
        ("digest of ", said.digests),
        ("version of ", said.versions),
    )
    return [
        (f"{before}{name}".replace("_", " "), _written(value))
        for before, facts in groups
        for name, value in facts.items()
        if value not in (None, "")
    ]


def _written(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_written(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_written(inner) for inner in value)
    return str(value)
