"""The verdict in two lines and some sentences: what a reader takes away who reads nothing else."""

import math
from dataclasses import dataclass
from typing import Literal

from rustk.metrics.bootstrap import Interval
from rustk.report.data.aggregate import MERIT
from rustk.report.data.words import counted, describe_trial
from rustk.report.evaluation.analysis import Analysis

# Where the study stands against the floor; unknown without a dataset to count it from.
Standing = Literal["above", "level", "below", "unknown"]
_CHANCE = 0.5
# Below this, ranking within a view is there, and weak.
_CLEAR = 0.7


@dataclass(frozen=True)
class KeyFigure:
    label: str
    value: str
    interval: str
    meaning: str


@dataclass(frozen=True)
class Verdict:
    """headline: the figure of merit against the floor. within: what is ranked among images of one view, and why the two
    may differ; empty without predictions. sentences: each claim with the interval it rests on."""

    standing: Standing
    headline: str
    within: str
    why: str
    sentences: tuple[str, ...]
    figures: tuple[KeyFigure, ...]


def judge(analysis: Analysis) -> Verdict:
    """What a run shows, each claim with the interval it rests on."""
    aggregate, choice = analysis.aggregate, analysis.choice
    merit = float(aggregate.best[MERIT])
    trials, folds = len(aggregate.trials), counted(int(aggregate.best["folds_used"]), "fold")
    name = describe_trial(aggregate, analysis.trial)
    described = f" ({name})" if name else ""
    among = f"Of {trials} trials, trial {analysis.trial}{described} is the best: its" if trials > 1 else "The"
    sentences = [f"{among} mean validation AUROC over {folds} is {merit:.3f}, at epoch {analysis.epoch}."]
    if dropped := len(aggregate.results.dropped):
        sentences.append(
            f"A race over folds dropped {counted(dropped, 'trial')} before all their folds were trained; the best is "
            f"among the {trials - dropped:,} that it kept."
        )
    lead = analysis.above_floor.get("auroc_200")
    if choice is not None:
        judged, lead = choice.corrected.corrected, choice.corrected.above_reference
        count = len(choice.configurations)
        of = f"{count:,}" if count == choice.possible else f"the best {count:,} of {choice.possible:,}"
        pairs = "pair" if of == "1" else "pairs"
        sentences.append(
            f"Corrected for choosing among {of} {pairs} of a trial and an epoch, it is {judged.value:.3f} (95 % "
            f"interval {judged.low:.3f} to {judged.high:.3f})."
        )
    floor = analysis.floor["auroc_200"].value if analysis.floor else None
    standing = _standing(lead)
    if floor is not None:
        sentences.append(_against_floor(analysis, standing, floor, lead))
    within, why = _within(analysis, standing)
    headline = _headline(analysis, standing)
    return Verdict(standing, headline, within, why, tuple(sentences), _figures(analysis, merit, floor))


def _standing(lead: Interval | None) -> Standing:
    """By the paired difference to the floor: an interval held against a fixed floor would miss that the floor, too, is
    measured on these patients."""
    if lead is None or not math.isfinite(lead.low):
        return "unknown"
    return "above" if lead.low > 0 else "below" if lead.high < 0 else "level"


def _knowing(analysis: Analysis) -> str:
    """What the floor knows: the view or, where there is a single one, how often each label occurs."""
    return "knowing the view" if _has_views(analysis) else "knowing how often each score occurs"


def _has_views(analysis: Analysis) -> bool:
    instrument = analysis.instrument
    return instrument is None or len(instrument.views) > 1


def _headline(analysis: Analysis, standing: Standing) -> str:
    knowing = _knowing(analysis)
    return {
        "above": f"AUROC: better than {knowing}",
        "level": f"AUROC: not shown to be better than {knowing}",
        "below": f"AUROC: worse than {knowing}",
        "unknown": "AUROC: too few resamples to compare it with the floor"
        if analysis.best is not None
        else "AUROC: not compared with the floor",
    }[standing]


def _within(analysis: Analysis, standing: Standing) -> tuple[str, str]:
    """(the second line, one line on why it may differ from the first)."""
    if analysis.best is None:
        return "", ""
    figure = analysis.best["auroc_in_view"].interval
    place = "Within a view" if _has_views(analysis) else "Within a fold"
    if not math.isfinite(figure.low):
        return f"{place}: undefined, for there are no two images to rank", ""
    if figure.low > _CHANCE:
        how = "clear signal" if figure.low >= _CLEAR else "some signal"
    else:
        how = "worse than chance" if figure.high < _CHANCE else "no signal shown"
    line = f"{place}: {how} ({figure.value:.2f} [{figure.low:.2f}, {figure.high:.2f}], chance is 0.50)"
    if not _has_views(analysis):
        return line, ""
    site = analysis.instrument.words.site if analysis.instrument else "site"
    return line, (
        f"The two differ because AUROC also counts pairs of images of different views, and there the view alone shows "
        f"which {site} can have a score; within a view only the image itself can tell."
    )


def _against_floor(analysis: Analysis, standing: Standing, floor: float, lead: Interval | None) -> str:
    only = "only the view" if _has_views(analysis) else "only how often each score occurs"
    known = f"A predictor that knows {only} scores {floor:.3f} on the same folds"
    if lead is None or standing == "unknown":
        why = " without its predictions" if lead is None else ": too few resamples could be judged"
        return f"{known}; whether the best trial beats it can't be said{why}."
    meaning = {
        "above": "the best trial is better",
        "level": "the interval includes zero, so this figure does not show a difference",
        "below": "the best trial is worse",
    }[standing]
    return (
        f"{known}; on the same resamples of the {analysis.drawn} the difference is {lead.value:+.3f} "
        f"({lead.low:+.3f} to {lead.high:+.3f}): {meaning}."
    )


def _figures(analysis: Analysis, merit: float, floor: float | None) -> tuple[KeyFigure, ...]:
    best, choice = analysis.best, analysis.choice
    found = [KeyFigure("Best mean AUROC", f"{merit:.3f}", "", "as the study's tables give it, 200 thresholds")]
    if choice is not None:
        corrected = choice.corrected.corrected
        found.append(KeyFigure("Corrected", f"{corrected.value:.3f}", _bounds(corrected), "for choosing (BBC-CV)"))
    if floor is not None:
        found.append(KeyFigure(analysis.floor_title, f"{floor:.3f}", "", _knowing(analysis)))
    if best is not None:
        within = best["auroc_in_view"]
        label = within.title.partition(",")[0]
        found.append(KeyFigure(label, f"{within.value:.3f}", _bounds(within.interval), "chance is 0.5"))
        if "kappa_total" in best and analysis.instrument and analysis.instrument.total:
            kappa = best["kappa_total"].interval
            if math.isfinite(kappa.value):
                what = f"{analysis.instrument.total.title}, {counted(best.visits, 'visit')}"
                found.append(KeyFigure("Weighted kappa", f"{kappa.value:.3f}", _bounds(kappa), what))
    return tuple(found)


def _bounds(interval: Interval) -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}" if math.isfinite(interval.low) else ""
