"""The tables of several runs: their metrics side by side, what each is worth, and every pair's difference."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rustk.report.data.aggregate import ALL_METRICS, MERIT, Aggregate
from rustk.report.data.numbers import ABSENT, is_absent
from rustk.report.data.words import AVERAGING, DEVIATION, SHOWN_METRICS, listed, shown_metrics, thesis_number, title_of
from rustk.report.evaluation.analysis import Analysis
from rustk.report.evaluation.comparison import COMPARED, Pair, compared_figure
from rustk.report.evaluation.floor import floor_title
from rustk.report.tables.evaluation import written_difference, written_interval
from rustk.report.tables.table import Column, Row, Table, mean_column, with_notes, word_column

# Beside the figure of merit, in this order; differences of the total are in the CSV file alone.
_COMPARED_TITLES = {
    "auroc_in_view": "In-view AUROC",
    "kappa_mean": "Kappa",
    "mae_mean": "Mean absolute error",
}


def comparison(
    aggregates: Sequence[Aggregate], *, floors: Mapping[str, float] | None = None, notes: Sequence[str] = ()
) -> Table:
    """One row a run, in the order given. Of a run with a search, its best trial.

    floors: by run, where they are known. CSV: run, study, title, trial, epoch, the ten metrics and their sd,
    folds_used, folds_planned, floor, note.
    """
    records: list[dict[str, Any]] = []
    for aggregate in aggregates:
        results = aggregate.results
        record = {"run": results.run, "study": results.name, "title": results.title, **aggregate.best}
        record["note"] = "; ".join(said for said in (aggregate.note, str(record["note"])) if said)
        records.append({**record, "floor": (floors or {}).get(results.run, float("nan"))})
    means = [name for metric in ALL_METRICS for name in (metric, f"{metric}_sd")]
    shown = [name for name in SHOWN_METRICS if any(name in shown_metrics(aggregate) for aggregate in aggregates)]
    names = {floor_title(aggregate.results.instrument) for aggregate in aggregates}
    columns, told = with_notes(
        [
            word_column("title", "Study"),
            *([] if _are_distinct(aggregates) else [word_column("run", "Run")]),
            *(mean_column(f"val_{metric}", title_of(metric)) for metric in shown),
            Column("epoch", "Epoch", first_up=True),
            Column("folds_used", "Folds"),
            *([mean_column("floor", names.pop() if len(names) == 1 else "Floor")] if floors else []),
        ],
        [Row(record) for record in records],
    )
    numbers = {thesis_number(aggregate.results, "comparison") for aggregate in aggregates}
    averaging = f" {AVERAGING}" if len(shown) > 2 else ""
    return Table(
        name="comparison",
        # The thesis's number only where all that are compared are of that table.
        number=numbers.pop() if len(numbers) == 1 else None,
        caption="Studies compared: validation metrics at the epoch where the mean validation AUROC is greatest. "
        f"{DEVIATION}{averaging}",
        columns=columns,
        rows=tuple(map(Row, records)),
        csv_keys=(
            *("run", "study", "title", "trial", "epoch"),
            *means,
            *("folds_used", "folds_planned", "floor", "note"),
        ),
        notes=(*notes, *told),
    )


def summary(analyses: Sequence[Analysis], headlines: Sequence[str]) -> Table:
    """One row a run: naive and corrected figure, floor, in-view AUROC, kappa and error with intervals.

    headlines: verdicts.
    """
    records = []
    for analysis, headline in zip(analyses, headlines, strict=True):
        results, best, choice = analysis.aggregate.results, analysis.best, analysis.choice
        row = analysis.aggregate.best
        intervals = {
            "auroc": None if best is None else best["auroc_200"].interval,
            "corrected": None if choice is None else choice.corrected.corrected,
        }
        for key in (*_COMPARED_TITLES, "kappa_total"):
            figure = None if best is None else compared_figure(best, key)
            intervals[key] = None if figure is None else figure.interval
        record: dict[str, Any] = {"title": results.title, "run": results.run, "verdict": headline}
        record |= {MERIT: row[MERIT], f"{MERIT}_sd": row[f"{MERIT}_sd"]}
        record["floor"] = float("nan") if analysis.floor is None else analysis.floor["auroc_200"].value
        for key, interval in intervals.items():
            values = (float("nan"),) * 3 if interval is None else (interval.value, interval.low, interval.high)
            record |= dict(zip((key, f"{key}_low", f"{key}_high"), values, strict=True))
            record[f"_{key}"] = written_interval(interval)
        records.append(record)

    titles = _COMPARED_TITLES | {"kappa_total": "Kappa of the total"}
    shown = {key: title for key, title in titles.items() if _is_there(records, key)}
    aggregates = [analysis.aggregate for analysis in analyses]
    return Table(
        name="studies",
        caption="Each study's best trial. The mean is over the folds, ± their standard deviation; intervals are 95 % "
        f"over {_drawn(analyses)}. {ABSENT} where a run lacks what it takes.",
        columns=(
            word_column("title", "Study"),
            *([] if _are_distinct(aggregates) else [word_column("run", "Run")]),
            mean_column(MERIT, "Mean AUROC"),
            interval_column("auroc", "95 % interval"),
            interval_column("corrected", "Corrected for choosing"),
            mean_column("floor", "Floor"),
            *(interval_column(key, title) for key, title in shown.items()),
            word_column("verdict", "Against the floor", kind="wrap"),
        ),
        rows=tuple(map(Row, records)),
        csv_keys=tuple(key for key in records[0] if not key.startswith("_")),
    )


def differences(pairs: Sequence[Pair], names: Mapping[str, str]) -> Table:
    """Every pair's difference, over patients and over folds. names: what each run is called."""
    records = []
    for pair in pairs:
        record: dict[str, Any] = {"first": pair.first, "second": pair.second}
        record["pair"] = f"{names[pair.first]} minus {names[pair.second]}"
        for key in COMPARED:
            interval = pair.differences.get(key)
            values = (float("nan"),) * 3 if interval is None else (interval.value, interval.low, interval.high)
            record |= dict(zip((key, f"{key}_low", f"{key}_high"), values, strict=True))
            record[f"_{key}"] = written_difference(interval)
        record["folds"] = float("nan") if pair.test is None else pair.test.difference
        record |= {"p": float("nan") if pair.test is None else pair.test.p, "p_holm": pair.adjusted_p}
        records.append(record)
    drawn = _drawn(pairs)
    return Table(
        name="differences",
        caption=f"Differences between the studies' best trials, with 95 % intervals by paired bootstrap over {drawn}, "
        "and the Nadeau-Bengio corrected test over the folds with Holm's adjustment over all pairs. Kappa and mean "
        "absolute error (less is better) are means over the sites.",
        columns=(
            word_column("pair", "Pair", kind="wrap"),
            *(
                interval_column(key, title)
                for key, title in ({"auroc_200": f"AUROC, over {drawn}"} | _COMPARED_TITLES).items()
                if _is_there(records, key)
            ),
            Column("folds", "AUROC, over folds", _signed),
            Column("p", "p", lambda record: _p_value(record["p"])),
            Column("p_holm", "p, Holm", lambda record: _p_value(record["p_holm"])),
        ),
        rows=tuple(map(Row, records)),
        csv_keys=tuple(key for key in records[0] if not key.startswith("_")) if records else (),
    )


def interval_column(key: str, heading: str) -> Column:
    """A column of what stands in words under `_key`; the number itself is under `key`."""
    return Column(key, heading, lambda record: record[f"_{key}"])


def _drawn(found: Sequence[Analysis] | Sequence[Pair]) -> str:
    """What resamples are drawn of: `patients`, `images`, or both where runs differ in it."""
    return listed(list(dict.fromkeys(one.drawn for one in found))) if found else "patients"


def _is_there(records: Sequence[Mapping[str, Any]], key: str) -> bool:
    return any(not is_absent(record[key]) for record in records)


def _are_distinct(aggregates: Sequence[Aggregate]) -> bool:
    """Whether the studies' titles tell the runs apart."""
    return len({aggregate.results.title for aggregate in aggregates}) == len(aggregates)


def _signed(record: Mapping[str, Any]) -> str:
    return ABSENT if is_absent(record["folds"]) else f"{record['folds']:+.4f}"


def _p_value(p: float) -> str:
    if not math.isfinite(p):
        return ABSENT
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
