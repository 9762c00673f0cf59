"""Which tables a run has: its best trials, all its trials, the best one's metrics and folds.

`±` is always the standard deviation over folds (ddof = 1). A `floor`, where one is given, is what a predictor that
looks at no image scores by the same figure of merit on the same folds; it stands in every table, under its title.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rustk.report.data.aggregate import ALL_METRICS, MERIT, Aggregate, describe_folds
from rustk.report.data.numbers import format_mean
from rustk.report.data.words import (
    AVERAGING,
    DEVIATION,
    best_words,
    effect_words,
    fixed_words,
    hyperparameter_formats,
    listed,
    merit_words,
    shown_metrics,
    thesis_number,
    title_of,
    weights_note,
)
from rustk.report.tables.table import Column, Form, Row, Table, mean_column, with_notes

BEST_TRIALS = 10


@dataclass(frozen=True)
class Context:
    """What a table knows beside the run's averages.

    floor: its figure of merit, None where it is not known; floor_title: what it is called. points: for each trial with
    predictions its exact figures (columns of `point_titles`), and under `chosen` in which share of the resamples it was
    the best. floor_points: the same figures of the floor. drawn: what resamples are drawn of.
    """

    floor: float | None = None
    floor_title: str = "View-only floor"
    points: Mapping[int, Mapping[str, float | None]] = field(default_factory=dict)
    point_titles: Mapping[str, str] = field(default_factory=dict)
    floor_points: Mapping[str, float] = field(default_factory=dict)
    drawn: str = "patients"


def run_tables(aggregate: Aggregate, context: Context | None = None) -> list[Table]:
    """Every table of one run's averages. Raises BadData without a figure of merit."""
    context = context or Context()
    tables = [metrics(aggregate, context), folds(aggregate, context)]
    if not aggregate.results.hyperparameters:
        return tables
    searched = [best_trials(aggregate, context), all_trials(aggregate, context)]
    if (final := final_hyperparameters(aggregate)) is not None:
        searched.append(final)
    return [*searched, *tables]


def best_trials(aggregate: Aggregate, context: Context | None = None) -> Table:
    """The ten best trials by the figure of merit.

    CSV: rank, trial, the hyperparameters, val_auroc (the figure of merit), val_auroc_sd, epoch, folds_used,
    folds_planned, diverged_epoch, note.
    """
    context = context or Context()
    count = len(aggregate.trials)
    records = _records(aggregate, BEST_TRIALS)
    shown = len(records)
    which = f"the {shown} best of {count} trials" if count > shown else f"its {count} trials, best first"
    names = aggregate.results.hyperparameters
    columns, notes = with_notes(
        [
            Column("rank", "Rank", first_up=True),
            *_hyperparameters(aggregate),
            mean_column(MERIT, "Max. mean validation AUROC"),
            Column("epoch", "Epoch", first_up=True),
        ],
        [Row(record) for record in records],
    )
    kept = ("rank", "trial", *names, MERIT, f"{MERIT}_sd", "epoch", "folds_used", "folds_planned", "diverged_epoch")
    return Table(
        name="best-trials",
        number=thesis_number(aggregate.results, "best-trials"),
        caption=f"{aggregate.results.title}: {which}. {merit_words(aggregate)}",
        columns=columns,
        rows=(*map(Row, records), *_floor_row(context, MERIT)),
        csv_keys=(*kept, "note"),
        notes=(*_notes(aggregate), *notes),
    )


def all_trials(aggregate: Aggregate, context: Context | None = None) -> Table:
    """Every trial with every metric at its best epoch. CSV: the columns of `Aggregate.trials`.

    The page shows, instead of the other metrics, what the predictions say, where there are any.
    """
    context = context or Context()
    best = int(aggregate.best["trial"])
    records = [{**record, **context.points.get(int(record["trial"]), {})} for record in _records(aggregate)]
    for record in records:
        record["folds"] = record["folds_used"]
    page: tuple[Form, ...] = ("page",)
    files: tuple[Form, ...] = ("files",)
    columns, notes = with_notes(
        [
            Column("rank", "Rank", first_up=True),
            Column("trial", "Trial", first_up=True, link=lambda record: f"#trial-{record['trial']}"),
            *_hyperparameters(aggregate),
            *(
                mean_column(f"val_{name}", title_of(name), where=(*files, *page) if name == "auroc" else files)
                for name in shown_metrics(aggregate)
            ),
            Column("epoch", "Epoch", first_up=True),
            *(mean_column(key, title, where=page) for key, title in context.point_titles.items()),
            *([Column("chosen", "Chosen", _share, where=page)] if context.points else []),
            Column("folds", "Folds", _folds_told, where=page),
        ],
        [Row(record) for record in records],
    )
    floor = {MERIT: context.floor, **context.floor_points, "note": context.floor_title.lower()}
    caption = (
        f"{aggregate.results.title}: validation metrics of every trial at its best epoch. {merit_words(aggregate)}"
    )
    if len(shown_metrics(aggregate)) > 1:
        caption += f" {AVERAGING}"
    if context.points:
        counted_here = listed([title[:1].lower() + title[1:] for title in context.point_titles.values()] + ["chosen"])
        notes = (
            *notes,
            f"{counted_here[:1].upper()}{counted_here[1:]} are counted from the predictions; chosen: in which share of "
            f"the resamples of {context.drawn} the trial was the best",
        )
    return Table(
        name="all-trials",
        number=thesis_number(aggregate.results, "all-trials"),
        caption=caption,
        columns=columns,
        rows=(
            *(Row(record, "best" if record["trial"] == best else "") for record in records),
            *([] if context.floor is None else [Row(floor, "floor", context.floor_title)]),
        ),
        csv_keys=tuple(map(str, aggregate.trials.columns)),
        notes=(*_notes(aggregate), *notes),
    )


def metrics(aggregate: Aggregate, context: Context | None = None) -> Table:
    """The best trial's metrics on both splits at its best epoch, one row a metric.

    CSV: metric, train, train_sd, validation, validation_sd, validation_min and validation_max (over the folds), epoch,
    folds_used, folds_planned, diverged_epoch, note.
    """
    context = context or Context()
    best = aggregate.best
    by_fold = _fold_rows(aggregate)
    records = [
        {
            "metric": name,
            "train": best[name],
            "train_sd": best[f"{name}_sd"],
            "validation": best[f"val_{name}"],
            "validation_sd": best[f"val_{name}_sd"],
            "validation_min": by_fold[f"val_{name}"].min(),
            "validation_max": by_fold[f"val_{name}"].max(),
            **{key: best[key] for key in ("epoch", "folds_used", "folds_planned", "diverged_epoch", "note")},
        }
        for name in shown_metrics(aggregate)
    ]
    columns, notes = with_notes(
        [
            Column("metric", "Metric", lambda record: title_of(record["metric"]), numeric=False),
            mean_column("train", "Training"),
            mean_column("validation", "Validation"),
            Column("validation_min", "Least", lambda record: format_mean(record["validation_min"])),
            Column("validation_max", "Greatest", lambda record: format_mean(record["validation_max"])),
        ],
        [Row(record) for record in records],
    )
    averaging = f" {AVERAGING}" if len(records) > 2 else ""
    return Table(
        name="metrics",
        number=thesis_number(aggregate.results, "metrics"),
        caption=f"{aggregate.results.title}: metrics of {best_words(aggregate)}. Mean over {best['folds_used']} folds "
        f"and the least and greatest fold. {DEVIATION}{averaging}",
        columns=columns,
        rows=(*map(Row, records), *_floor_row(context, "validation")),
        csv_keys=(*records[0],) if records else (),
        notes=(*_notes(aggregate), *notes),
    )


def folds(aggregate: Aggregate, context: Context | None = None) -> Table:
    """The best trial's folds at its best epoch, one row a fold. CSV: fold, epoch, the ten metrics, note."""
    context = context or Context()
    best = aggregate.best
    rows = _fold_rows(aggregate)[["fold", "epoch", *ALL_METRICS]].to_dict(orient="records")
    names = shown_metrics(aggregate)
    shown = {f"val_{name}": title_of(name) for name in names}
    shown |= {name: f"Training {'AUROC' if name == 'auroc' else name}" for name in ("auroc", "loss") if name in names}
    columns = (
        Column("fold", "Fold", numeric=False, first_up=True),
        *(mean_column(name, heading) for name, heading in shown.items()),
    )
    averaging = f" {AVERAGING}" if len(names) > 2 else ""
    mean = {key: best[key] for name in shown for key in (name, f"{name}_sd")}
    return Table(
        name="folds",
        number=thesis_number(aggregate.results, "folds"),
        caption=f"{aggregate.results.title}: validation metrics, fold by fold, of {best_words(aggregate)}. "
        f"{DEVIATION}{averaging}",
        columns=columns,
        rows=(
            *(Row({**row, "note": ""}) for row in rows),
            Row(mean, "mean", "Mean ± SD", in_csv=False),
            *_floor_row(context, MERIT),
        ),
        csv_keys=("fold", "epoch", *ALL_METRICS, "note"),
        notes=_notes(aggregate),
    )


def final_hyperparameters(aggregate: Aggregate) -> Table | None:
    """What a search settles for the studies that follow it: the best trial's values. None where nothing has any."""
    from rustk.report.data.words import chosen_hyperparameters, write_hyperparameter

    trial = int(aggregate.best["trial"])
    values = chosen_hyperparameters(aggregate.results, trial)
    if not values:
        return None
    searched = aggregate.results.searched
    records = [
        {"hyperparameter": name, "value": value, "searched": "yes" if name in searched else "no"}
        for name, value in values.items()
    ]

    def written(record: Mapping[str, Any]) -> str:
        name = record["hyperparameter"]
        value = write_hyperparameter(name, record["value"]).removeprefix(f"{title_of(name).lower()} ")
        return f"{value}{effect_words(aggregate.results, name, record['value'], trial)}"

    return Table(
        name="final-hyperparameters",
        number=thesis_number(aggregate.results, "final-hyperparameters"),
        caption=f"{aggregate.results.title}: hyperparameters of {best_words(aggregate)}.",
        columns=(
            Column("hyperparameter", "Hyperparameter", lambda r: title_of(r["hyperparameter"]), numeric=False),
            Column("value", "Value", written),
            Column("searched", "Searched", lambda record: str(record["searched"]), numeric=False),
        ),
        rows=tuple(map(Row, records)),
    )


def _records(aggregate: Aggregate, limit: int | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aggregate.trials.head(limit or len(aggregate.trials)).to_dict(orient="records")
    return found


def _hyperparameters(aggregate: Aggregate) -> list[Column]:
    def column(name: str, written: Callable[[Any], str]) -> Column:
        return Column(name, title_of(name), lambda record: written(record[name]), first_up=True)

    return [column(name, written) for name, written in hyperparameter_formats(aggregate).items()]


def _fold_rows(aggregate: Aggregate) -> Any:
    """The best trial's history rows at its best epoch, one a fold."""
    best = aggregate.best
    histories = aggregate.results.histories
    return histories[(histories["trial"] == best["trial"]) & (histories["epoch"] == best["epoch"])]


def _floor_row(context: Context, key: str) -> Sequence[Row]:
    if context.floor is None:
        return ()
    return (Row({key: context.floor, "note": context.floor_title.lower()}, "floor", context.floor_title),)


def _notes(aggregate: Aggregate) -> tuple[str, ...]:
    """What every table of the run says: missing folds, random weights, the hyperparameters that are fixed."""
    missing = f"{aggregate.note} (missing: {describe_folds(aggregate.results.missing)})" if aggregate.partial else ""
    said = (missing, weights_note(aggregate.results), fixed_words(aggregate.results))
    return tuple(note for note in said if note)


def _share(record: Mapping[str, Any]) -> str:
    share = record["chosen"]
    return "–" if share is None else f"{share:.0%}"


def _folds_told(record: Mapping[str, Any]) -> str:
    used, planned = record["folds_used"], record["folds_planned"]
    return f"{used}" if used == planned else f"{used} of {planned}"
