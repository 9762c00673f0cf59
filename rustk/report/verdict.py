"""The verdict in a sentence: what a reader takes away who reads nothing else."""

import math
from dataclasses import dataclass
from typing import Literal

from rustk.metrics.bootstrap import Interval
from rustk.report.aggregate import MERIT
from rustk.report.analysis import Analysis
from rustk.report.tables import describe_trial

# Where the study stands against the view floor; unknown without a dataset to count it from.
Standing = Literal["above", "level", "below", "unknown"]


@dataclass(frozen=True)
class KeyFigure:
    label: str
    value: str
    interval: str
    meaning: str


@dataclass(frozen=True)
class Verdict:
    standing: Standing
    headline: str
    sentences: tuple[str, ...]
    figures: tuple[KeyFigure, ...]


def judge(analysis: Analysis) -> Verdict:
    """What a run shows, each claim with the interval it rests on."""
    aggregate, best, choice = analysis.aggregate, analysis.best, analysis.choice
    merit = float(aggregate.best[MERIT])
    trials, folds = len(aggregate.trials), int(aggregate.best["folds_used"])
    name = describe_trial(aggregate, analysis.trial)
    among = f"Of {trials} trials, trial {analysis.trial} ({name}) is the best: its" if trials > 1 else "The"
    sentences = [f"{among} mean validation AUROC over {folds} folds is {merit:.3f}, at epoch {analysis.epoch}."]
    lead = analysis.above_floor.get("auroc_200")
    if choice is not None:
        judged, lead = choice.corrected.corrected, choice.corrected.above_reference
        count = len(choice.configurations)
        of = f"{count}" if count == choice.possible else f"the best {count} of {choice.possible}"
        sentences.append(
            f"Corrected for choosing among {of} trials and epochs it is {judged.value:.3f} (95 % interval "
            f"{judged.low:.3f} to {judged.high:.3f})."
        )
    floor = analysis.floor["auroc_200"].value if analysis.floor else None
    standing = _standing(lead)
    if floor is not None:
        sentences.append(_against_floor(standing, floor, lead))
    if best is not None:
        within = best["auroc_in_view"].interval
        how = "above chance" if within.low > 0.5 else "below chance" if within.high < 0.5 else "no better than chance"
        sentences.append(
            f"Among images of one view it ranks {how}: in-view AUROC {within.value:.3f} ({within.low:.3f} to "
            f"{within.high:.3f}), where knowing only the view gives 0.5."
        )
    return Verdict(standing, _headline(standing, best is not None), tuple(sentences), _figures(analysis, merit, floor))


def _standing(lead: Interval | None) -> Standing:
    """By the paired difference to the floor: an interval held against a fixed floor would miss that the floor, too, is
    measured on these patients."""
    if lead is None or not math.isfinite(lead.low):
        return "unknown"
    return "above" if lead.low > 0 else "below" if lead.high < 0 else "level"


def _headline(standing: Standing, evaluated: bool) -> str:
    return {
        "above": "Above what the view alone tells",
        "level": "Not told apart from what the view alone tells",
        "below": "Below what the view alone tells",
        "unknown": "Undecided: too few resamples could be judged"
        if evaluated
        else "Not measured against the view floor",
    }[standing]


def _against_floor(standing: Standing, floor: float, lead: Interval | None) -> str:
    known = f"A predictor that knows only the view scores {floor:.3f} on the same folds"
    if lead is None or standing == "unknown":
        why = " without its predictions" if lead is None else ": too few resamples could be judged"
        return f"{known}; whether the best trial beats it can't be said{why}."
    meaning = {
        "above": "it tells more than the view",
        "level": "that may be none, so nothing beyond the view is shown by this figure",
        "below": "it tells less than the view",
    }[standing]
    return (
        f"{known}; on the same resamples of the patients the difference to it is {lead.value:+.3f} ({lead.low:+.3f} to "
        f"{lead.high:+.3f}): {meaning}."
    )


def _figures(analysis: Analysis, merit: float, floor: float | None) -> tuple[KeyFigure, ...]:
    best, choice = analysis.best, analysis.choice
    found = [KeyFigure("Best mean AUROC", f"{merit:.3f}", "", "as the study's tables give it, 200 thresholds")]
    if choice is not None:
        corrected = choice.corrected.corrected
        found.append(KeyFigure("Corrected", f"{corrected.value:.3f}", _bounds(corrected), "for choosing (BBC-CV)"))
    if floor is not None:
        found.append(KeyFigure("View floor", f"{floor:.3f}", "", "knowing only the view"))
    if best is not None:
        within, kappa = best["auroc_in_view"].interval, best["kappa_total"].interval
        found.append(KeyFigure("In-view AUROC", f"{within.value:.3f}", _bounds(within), "chance is 0.5"))
        if math.isfinite(kappa.value):
            what = f"RUST total, {best.visits:,} visits"
            found.append(KeyFigure("Weighted kappa", f"{kappa.value:.3f}", _bounds(kappa), what))
    return tuple(found)


def _bounds(interval: Interval) -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}" if math.isfinite(interval.low) else ""
