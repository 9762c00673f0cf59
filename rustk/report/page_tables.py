"""The page's tables: cells with what they show and what they sort by."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from markupsafe import Markup

from rustk.metrics.bootstrap import Interval
from rustk.report.aggregate import MERIT
from rustk.report.analysis import Analysis
from rustk.report.checklist import Item
from rustk.report.comparison import Pair
from rustk.report.effect import Effect
from rustk.report.evaluation import Figure
from rustk.report.numbers import ABSENT, format_mean, is_absent
from rustk.report.page_charts import interval_strip
from rustk.report.table_formats import Table
from rustk.report.tables import FLOOR, hyperparameter_formats, title_of
from rustk.report.verdict import Verdict
from rustk.vocabulary.labels import CORTICES, SCORES


@dataclass(frozen=True)
class Column:
    heading: str
    numeric: bool = True
    first_up: bool = False  # sorts ascending at the first click: a rank, an epoch
    unsorted: bool = False
    kind: str = ""


@dataclass(frozen=True)
class Cell:
    text: str = ""
    sort: float | str | None = None  # None: by the text
    html: Markup | None = None
    span: int = 1


@dataclass(frozen=True)
class Row:
    cells: tuple[Cell, ...]
    kind: str = ""


@dataclass(frozen=True)
class Grid:
    label: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    last: tuple[Row, ...] = ()  # stay below whatever is sorted
    number: str = ""
    notes: tuple[str, ...] = ()


def from_table(table: Table) -> Grid:
    """A table of the report as it is; a last row that is the floor's, or the mean's, stays last."""
    rows = [Row(_spanned(cells), "floor" if cells[0] == FLOOR else "") for cells in table.rows]
    rows = [replace(row, kind="mean") if row.cells[0].text.startswith("Mean ") else row for row in rows]
    fixed = [row for row in rows if row.kind]
    return Grid(
        label=table.name.replace("-", " "),
        caption=table.caption,
        columns=tuple(Column(heading, numeric) for heading, numeric in zip(table.headings, table.numeric, strict=True)),
        rows=tuple(row for row in rows if row not in fixed),
        last=tuple(fixed),
        number=f"Table {table.number}" if table.number else "",
        notes=table.notes,
    )


def _spanned(cells: Sequence[str]) -> tuple[Cell, ...]:
    """The cells of a row; where the first is followed by empty ones, it spans them."""
    span = 1
    while 1 < len(cells) > span and not cells[span] and cells[0] == FLOOR:
        span += 1
    return (Cell(cells[0], span=span), *(Cell(text) for text in cells[span:]))


def trials_grid(analysis: Analysis, floor: float | None) -> Grid:
    """Every trial with its figure of merit and what its predictions say within a view."""
    aggregate = analysis.aggregate
    names, shown = aggregate.results.hyperparameters, hyperparameter_formats(aggregate)
    points = analysis.choice.trials.set_index("trial") if analysis.choice is not None else None
    shares = analysis.choice.share_won_by_trial if analysis.choice is not None else {}
    columns = [
        Column("Rank", first_up=True),
        Column("Trial", first_up=True),
        *(Column(title_of(name), first_up=True) for name in names),
        Column("Mean AUROC"),
        Column("Epoch", first_up=True),
    ]
    if points is not None:
        columns += [Column("16 labels, exact"), Column("In-view AUROC"), Column("Chosen")]
    columns += [Column("Folds"), Column("Note", numeric=False)]
    rows = []
    for _, row in aggregate.trials.iterrows():
        trial = int(row["trial"])
        cells = [_whole(row["rank"]), _whole(trial)]
        cells += [Cell(shown[name](row[name]), _number(row[name])) for name in names]
        cells += [Cell(format_mean(row[MERIT], row[f"{MERIT}_sd"]), _number(row[MERIT])), _whole(row["epoch"])]
        if points is not None:
            for column in ("auroc_16", "auroc_in_view"):
                cells.append(_mean(points.loc[trial, column] if trial in points.index else None))
            share = shares.get(trial)
            cells.append(Cell("" if share is None else f"{share:.0%}", -1.0 if share is None else share))
        used, planned = row["folds_used"], row["folds_planned"]
        cells += [Cell(f"{used}" if used == planned else f"{used} of {planned}", float(used)), Cell(row["note"])]
        rows.append(Row(tuple(cells), "best" if trial == analysis.trial else ""))
    last: list[Row] = []
    if floor is not None and analysis.floor is not None:
        blank = [Cell(FLOOR, span=2 + len(names))]
        known = [_mean(floor), Cell()]
        if points is not None:
            known += [_mean(analysis.floor["auroc_16"].value), _mean(analysis.floor["auroc_in_view"].value), Cell()]
        last = [Row((*blank, *known, Cell(), Cell()), "floor")]
    caption = (
        "Every trial at its best epoch, best first: validation AUROC, mean over the folds ± their standard deviation "
        "(ddof = 1)."
    )
    if points is not None:
        caption += (
            " 16 labels: exact macro AUROC of the cortex labels. In-view AUROC compares images of one view and fold "
            "only. Chosen: in which share of the resamples of patients the trial was the best."
        )
    return Grid("all trials", caption, tuple(columns), tuple(rows), tuple(last))


def figures_grid(analysis: Analysis) -> Grid:
    """Every figure of the best trial with its interval, beside the floor's and the paired difference."""
    best, floor = analysis.best, analysis.floor
    if best is None or floor is None:
        raise ValueError("the run was not evaluated")
    rows = []
    for key, figure in best.figures.items():
        known = floor[key]
        note = _undefined(figure) + (f" ({figure.note})" if figure.note else "")
        above = analysis.above_floor[key]
        strip = interval_strip(figure.interval.low, figure.value, figure.interval.high, _bounds_of(figure), known.value)
        cells = [
            Cell(figure.title + note),
            _mean(figure.value),
            Cell(_span(figure.interval), figure.interval.low if math.isfinite(figure.interval.low) else ""),
            Cell(html=Markup(strip), sort=""),
            Cell(format_mean(known.value) + _undefined(known), _number(known.value)),
            Cell(_difference(above), _number(above.value)),
        ]
        rows.append(Row(tuple(cells)))
    return Grid(
        "figures of the best trial",
        "The best trial's figures. The bar is the 95 % interval, the dashed line the view floor; AUROC is drawn from "
        "0.4 to 1, kappa from -0.2 to 1. Undefined: labels that have no value and are not in the "
        "mean. Mean absolute errors are in points of the score, and lower is better.",
        (
            Column("Figure", numeric=False, kind="wrap"),
            Column("Best trial"),
            Column("95 % interval"),
            Column("", numeric=False, unsorted=True, kind="strip-cell"),
            Column(FLOOR),
            Column("Difference to the floor"),
        ),
        tuple(rows),
    )


def labels_grid(analysis: Analysis) -> Grid:
    """Label by label: how often it occurs, and how well it is ranked and decided."""
    best, floor = analysis.best, analysis.floor
    if best is None or floor is None:
        raise ValueError("the run was not evaluated")
    known = floor.labels.set_index("label")
    shown = ("auroc", "in_view_auroc", "precision", "recall", "f1")
    rows = [
        Row(
            (
                Cell(str(row["label"]).replace("_", " ")),
                Cell(f"{int(row['images']):,}", float(row["images"])),
                *(_mean(row[name]) for name in shown[:1]),
                _mean(known.loc[row["label"], "auroc"]),
                *(_mean(row[name]) for name in shown[1:]),
            )
        )
        for _, row in best.labels.iterrows()
    ]
    headings = ("Images", "Exact AUROC", "Floor's AUROC", "In-view AUROC", "Precision", "Recall", "F1")
    return Grid(
        "figures by label",
        "Label by label. Precision, recall and F1 at a threshold of 0.5; – where undefined.",
        (Column("Label", numeric=False), *(Column(heading) for heading in headings)),
        tuple(rows),
    )


def scores_grid(index: pd.DataFrame) -> Grid:
    """How many images of each split, view and cortex have each score."""
    rows = []
    for (split, view), images in index.groupby(["split", "view"]):
        for cortex in CORTICES:
            if images[cortex].isna().all():
                continue
            counts = [int((images[cortex] == score).sum()) for score in SCORES]
            numbers = [len(images), int(images[cortex].isna().sum()), *counts]
            words = [Cell(str(split)), Cell(str(view)), Cell(cortex)]
            rows.append(Row((*words, *(Cell(f"{number:,}", float(number)) for number in numbers))))
    headings = ("Images", "Unscored", *(f"Score {score}" for score in SCORES))
    words_ = tuple(Column(name, numeric=False) for name in ("Split", "View", "Cortex"))
    caption = "Scores of the dataset by split, view and cortex. A cortex that a view never shows is left out."
    return Grid("scores", caption, (*words_, *(Column(heading) for heading in headings)), tuple(rows))


def effects_grid(effects: Sequence[Effect]) -> Grid:
    """What was asked of each searched hyperparameter, and what was in effect."""
    rows = [
        Row(
            tuple(
                Cell(text)
                for text in (title_of(effect.name), effect.asked, effect.in_effect, f"{effect.folds:,}", effect.verdict)
            ),
            "fault" if effect.dead else "",
        )
        for effect in effects
    ]
    headings = ("Hyperparameter", "Asked", "In effect", "Folds that recorded it", "Verdict")
    columns = tuple(Column(heading, numeric=heading.startswith("Folds")) for heading in headings)
    return Grid(
        "hyperparameters", "Searched hyperparameters: asked, and read back from training.", columns, tuple(rows)
    )


def checklist_grid(items: Sequence[Item]) -> Grid:
    """Items of the reporting guidelines, filled."""
    rows = tuple(
        Row(tuple(map(Cell, (item.tripod or ABSENT, item.claim or ABSENT, item.asked, item.filled)))) for item in items
    )
    columns = (
        Column("TRIPOD+AI", numeric=False, unsorted=True),
        Column("CLAIM", numeric=False, unsorted=True),
        Column("Item", numeric=False, unsorted=True),
        Column("Filled from the run's files", numeric=False, unsorted=True, kind="wrap"),
    )
    return Grid("reporting guidelines", "What the run's files answer.", columns, rows)


def summary_grid(analyses: Sequence[Analysis], verdicts: Sequence[Verdict]) -> Grid:
    """One row a run: naive and corrected figure, floor and in-view AUROC with intervals."""
    rows = []
    ambiguous = len({analysis.aggregate.results.title for analysis in analyses}) < len(analyses)
    for analysis, verdict in zip(analyses, verdicts, strict=True):
        results, best, choice = analysis.aggregate.results, analysis.best, analysis.choice
        corrected = None if choice is None else choice.corrected.corrected
        row = analysis.aggregate.best
        cells = [
            Cell(results.title),
            *([Cell(results.run)] if ambiguous else []),
            Cell(format_mean(row[MERIT], row[f"{MERIT}_sd"]), _number(row[MERIT])),
            _with_interval(None if best is None else best["auroc_200"].interval),
            _with_interval(corrected),
            _mean(None if analysis.floor is None else analysis.floor["auroc_200"].value),
            _with_interval(None if best is None else best["auroc_in_view"].interval),
            _with_interval(None if best is None else best["kappa_total"].interval),
            Cell(verdict.headline),
        ]
        rows.append(Row(tuple(cells)))
    headings = ("Mean AUROC", "95 % interval", "Corrected for choosing", FLOOR, "In-view AUROC", "Kappa, RUST total")
    columns = (
        Column("Study", numeric=False),
        *([Column("Run", numeric=False)] if ambiguous else []),
        *(Column(heading) for heading in headings),
        Column("Against the floor", numeric=False, kind="wrap"),
    )
    caption = (
        "Each study's best trial. The mean is over the folds, ± their standard deviation; intervals are 95 % over "
        "patients. – where a run lacks what it takes."
    )
    return Grid("studies", caption, columns, tuple(rows))


def pairs_grid(pairs: Sequence[Pair], names: Mapping[str, str]) -> Grid:
    """Every pair's difference, over patients and over folds."""
    rows = []
    for pair in pairs:
        test = pair.test
        rows.append(
            Row(
                (
                    Cell(f"{names[pair.first]} minus {names[pair.second]}"),
                    *(_pair_difference(pair.differences.get(key)) for key in ("auroc_200", "auroc_in_view")),
                    Cell(
                        ABSENT if test is None else f"{test.difference:+.4f}", None if test is None else test.difference
                    ),
                    _p_value(None if test is None else test.p),
                    _p_value(pair.adjusted_p),
                )
            )
        )
    headings = ("AUROC, over patients", "In-view AUROC, over patients", "AUROC, over folds", "p", "p, Holm")
    caption = (
        "Differences between the studies' best trials, with 95 % intervals by paired bootstrap over patients, and the "
        "Nadeau-Bengio corrected test over the folds with Holm's adjustment over all pairs."
    )
    columns = (Column("Pair", numeric=False, kind="wrap"), *(Column(heading) for heading in headings))
    return Grid("differences", caption, columns, tuple(rows))


def _bounds_of(figure: Figure) -> tuple[float, float]:
    if figure.key.startswith("kappa"):
        return -0.2, 1.0
    if figure.key.startswith("mae"):
        return (0.0, 6.0) if figure.key == "mae_total" else (0.0, 2.0)
    return (0.4, 1.0) if figure.chance == 0.5 else (0.0, 1.0)


def _undefined(figure: Figure) -> str:
    """How many labels are not in a mean, since it is another figure without them."""
    return f" ({figure.undefined} undefined)" if figure.undefined else ""


def _whole(value: Any) -> Cell:
    return Cell(ABSENT, "") if is_absent(value) else Cell(str(int(value)), float(value))


def _mean(value: Any) -> Cell:
    return Cell(format_mean(value), _number(value))


def _number(value: Any) -> float | str:
    """What a cell sorts by; nothing for what is not there, so that it sorts last."""
    return "" if is_absent(value) else float(value)


def _span(interval: Interval) -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}" if math.isfinite(interval.low) else ABSENT


def _difference(interval: Interval) -> str:
    if not math.isfinite(interval.value):
        return ABSENT
    return f"{interval.value:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"


def _with_interval(interval: Interval | None) -> Cell:
    if interval is None or not math.isfinite(interval.value):
        return Cell(ABSENT, "")
    return Cell(f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]", interval.value)


def _pair_difference(interval: Interval | None) -> Cell:
    return Cell(ABSENT, "") if interval is None else Cell(_difference(interval), interval.value)


def _p_value(p: float | None) -> Cell:
    if p is None or not math.isfinite(p):
        return Cell(ABSENT, "")
    return Cell("< 0.001" if p < 0.001 else f"{p:.3f}", p)
