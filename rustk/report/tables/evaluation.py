"""The tables of what a run's predictions are worth, of its data, and of its searched hyperparameters."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from rustk.metrics.bootstrap import Interval
from rustk.report.audits.hyperparameters import Effect
from rustk.report.data.evaluated import Figure
from rustk.report.data.numbers import ABSENT, format_mean
from rustk.report.data.words import title_of
from rustk.report.evaluation.analysis import Analysis
from rustk.report.evaluation.figures.ranking import in_view_title
from rustk.report.evaluation.floor import floor_title
from rustk.report.tables.run import Context
from rustk.report.tables.table import Column, Row, Table, count_column, mean_column, word_column
from rustk.vocabulary.instrument import Instrument

# What stands beside every trial in the table of all trials, where there are predictions.
_POINTS = ("auroc_scores", "auroc_in_view")


def context_of(analysis: Analysis) -> Context:
    """What the run's tables know beside its averages."""
    instrument, floor, choice = analysis.aggregate.results.instrument, analysis.floor, analysis.choice
    title = floor_title(instrument)
    if floor is None:
        return Context(floor_title=title)
    known = floor["auroc_200"].value
    if choice is None or instrument is None:
        return Context(known, title)
    titles = {"auroc_scores": "Exact AUROC", "auroc_in_view": in_view_title(instrument)}
    shown = {key: titles[key] for key in _POINTS if key in choice.trials}
    shares = choice.share_won_by_trial
    every = analysis.aggregate.trials["trial"]
    by_trial = choice.trials.set_index("trial")
    points = {
        int(trial): {
            **{key: by_trial.loc[trial, key] if trial in by_trial.index else float("nan") for key in shown},
            "chosen": shares.get(int(trial)),
        }
        for trial in every
    }
    return Context(known, title, points, shown, {key: floor[key].value for key in shown}, analysis.drawn)


def figures(analysis: Analysis) -> Table:
    """Every figure of the best trial with its interval, beside the floor's and the paired difference.

    CSV: figure (its key), title, value, low, high, floor, difference, difference_low, difference_high, undefined,
    floor_undefined (labels without a value, which are not in the mean).
    """
    best, floor, above = analysis.best, analysis.floor, analysis.above_floor
    if best is None or floor is None:
        raise ValueError("the run was not evaluated")
    records = []
    for key, figure in best.figures.items():
        known = floor[key]
        difference = above[key]
        records.append(
            {
                "figure": key,
                "title": figure.title,
                "value": figure.value,
                "low": figure.interval.low,
                "high": figure.interval.high,
                "floor": known.value,
                "difference": difference.value,
                "difference_low": difference.low,
                "difference_high": difference.high,
                "undefined": figure.undefined,
                "floor_undefined": known.undefined,
                "_bounds": figure.bounds,
                "_note": figure.note,
                "_over": _over(figure, known),
            }
        )
    name = floor_title(analysis.aggregate.results.instrument)
    return Table(
        name="figures",
        label="figures of the best trial",
        caption="The best trial's figures. The bar is the 95 % interval, the dashed line the floor. Undefined: labels "
        "that have no value and are not in the mean; a difference is over the labels that both define. Mean absolute "
        "errors are in points of the score, and lower is better. Precision, recall and F1 are means over the labels "
        "(macro average).",
        columns=(
            Column("title", "Figure", _figure_words, numeric=False, kind="wrap"),
            mean_column("value", "Best trial"),
            Column("low", "95 % interval", _span),
            Column("_bounds", "Drawn", lambda _: "", False, ("page",), unsorted=True, kind="strip-cell", html=_strip),
            Column("floor", name, lambda r: format_mean(r["floor"]) + _undefined(r["floor_undefined"])),
            Column("difference", "Difference to the floor", _difference_words),
        ),
        rows=tuple(map(Row, records)),
        csv_keys=tuple(key for key in records[0] if not key.startswith("_")),
    )


def labels(analysis: Analysis) -> Table:
    """Label by label: how often it occurs, and how well it is ranked and decided.

    CSV: label, images, auroc, floor_auroc, in_view_auroc, precision, recall, f1.
    """
    best, floor, instrument = analysis.best, analysis.floor, analysis.aggregate.results.instrument
    if best is None or floor is None or instrument is None:
        raise ValueError("the run was not evaluated")
    known = dict(zip(floor.labels["label"], floor.labels["auroc"], strict=True))
    records = [{**row, "floor_auroc": known[row["label"]]} for row in best.labels.to_dict(orient="records")]
    return Table(
        name="labels",
        label="figures by label",
        caption="Label by label. Precision, recall and F1 at a threshold of 0.5; – where undefined.",
        columns=(
            Column("label", "Label", lambda record: str(record["label"]).replace("_", " "), numeric=False),
            count_column("images", "Images"),
            mean_column("auroc", "Exact AUROC"),
            mean_column("floor_auroc", "Floor's AUROC"),
            mean_column("in_view_auroc", in_view_title(instrument)),
            mean_column("precision", "Precision"),
            mean_column("recall", "Recall"),
            mean_column("f1", "F1"),
        ),
        rows=tuple(map(Row, records)),
    )


def scores(index: pd.DataFrame, instrument: Instrument) -> Table:
    """How many images of each split, view and site have each score. CSV: split, view, site, images, unscored, and
    score_<n> for each score that a site of the instrument can have."""
    every = sorted({score for site in instrument.sites for score in site.scores})
    records: list[dict[str, Any]] = []
    for (split, view), images in index.groupby(["split", "view"]):
        for site in instrument.sites:
            column = images[site.name]
            if column.isna().all():
                continue
            record = {"split": split, "view": view, "site": site.name, "images": len(images)}
            record["unscored"] = int(column.isna().sum())
            for score in every:
                record[f"score_{score}"] = int((column == score).sum()) if score in site.scores else None
            records.append(record)
    words = instrument.words
    return Table(
        name="scores",
        caption=f"Scores of the dataset by split, view and {words.site}. A {words.site} that a view never shows is "
        "left out.",
        columns=(
            word_column("split", "Split"),
            word_column("view", "View"),
            word_column("site", words.site.capitalize()),
            count_column("images", "Images"),
            count_column("unscored", "Unscored"),
            *(count_column(f"score_{score}", f"Score {score}") for score in every),
        ),
        rows=tuple(map(Row, records)),
    )


def effects(found: Sequence[Effect]) -> Table:
    """What was asked of each searched hyperparameter, and what was in effect. CSV: hyperparameter, asked, in_effect,
    folds, verdict."""
    records = [
        {
            "hyperparameter": effect.name,
            "asked": effect.asked,
            "in_effect": effect.in_effect,
            "folds": effect.folds,
            "verdict": effect.verdict,
        }
        for effect in found
    ]
    kinds = ["fault" if effect.dead else "" for effect in found]
    return Table(
        name="hyperparameters",
        caption="Searched hyperparameters: asked, and read back from training.",
        columns=(
            Column("hyperparameter", "Hyperparameter", lambda r: title_of(r["hyperparameter"]), numeric=False),
            word_column("asked", "Asked"),
            word_column("in_effect", "In effect"),
            count_column("folds", "Folds that recorded it"),
            word_column("verdict", "Verdict", kind="wrap"),
        ),
        rows=tuple(Row(record, kind) for record, kind in zip(records, kinds, strict=True)),
    )


def written_interval(interval: Interval | None) -> str:
    """`0.65 [0.61, 0.69]` with three decimals; – where there is none."""
    if interval is None or not math.isfinite(interval.value):
        return ABSENT
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def written_difference(interval: Interval | None) -> str:
    """`+0.012 [-0.003, +0.027]`; – where there is none."""
    if interval is None or not math.isfinite(interval.value):
        return ABSENT
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def _over(figure: Figure, known: Figure) -> str:
    """Over how many labels the difference is taken, where that is not all of them."""
    shared = figure.shared_labels(known)
    if shared is None or not (figure.undefined or known.undefined):
        return ""
    return f" (over {shared} label{'' if shared == 1 else 's'})"


def _figure_words(record: Mapping[str, Any]) -> str:
    """The figure's title, and how many labels are not in its mean, since it is another figure without them."""
    note = f" ({record['_note']})" if record["_note"] else ""
    return f"{record['title']}{_undefined(record['undefined'])}{note}"


def _undefined(count: int) -> str:
    return f" ({count} undefined)" if count else ""


def _span(record: Mapping[str, Any]) -> str:
    return f"{record['low']:.3f} to {record['high']:.3f}" if math.isfinite(record["low"]) else ABSENT


def _difference_words(record: Mapping[str, Any]) -> str:
    low, high = record["difference_low"], record["difference_high"]
    return written_difference(Interval(record["difference"], low, high)) + record["_over"]


def _strip(record: Mapping[str, Any]) -> str:
    from rustk.report.charts.base.svg import interval_strip

    return interval_strip(record["low"], record["value"], record["high"], record["_bounds"], record["floor"])
