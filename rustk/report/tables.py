"""Which tables a run has: its best trials, all its trials, the best one's metrics and folds; and several runs compared.

`±` is always the standard deviation over folds (ddof = 1). A `floor`, where one is given, is what knowing only an
image's view scores by the same figure of merit on the same folds; it stands in every table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rustk.report.aggregate import ALL_METRICS, MERIT, Aggregate, describe_folds
from rustk.report.numbers import column_format, format_mean, format_value
from rustk.report.table_formats import Table

BEST_TRIALS = 10
FLOOR = "View-only floor"

# The thesis's tables that are laid out like a search over these.
_SEARCH_NUMBERS = {
    frozenset({"batch_size", "dropout"}): "1.4",
    frozenset({"learning_rate", "epsilon"}): "1.5",
}
_TITLES = {"auroc": "AUROC", "f1": "F1"}
_SHOWN = ("auroc", "loss", "precision", "recall", "f1")
_DEVIATION = "± is the standard deviation over folds (ddof = 1)."


def title_of(name: str) -> str:
    """A hyperparameter or metric for people: `val_auroc` is Validation AUROC, `batch_size` Batch size."""
    if name.startswith("val_"):
        rest = title_of(name.removeprefix("val_"))
        return f"Validation {rest if rest in _TITLES.values() else rest.lower()}"
    return _TITLES.get(name, name.replace("_", " ").capitalize())


def hyperparameter_formats(aggregate: Aggregate) -> dict[str, Callable[[Any], str]]:
    """For each searched hyperparameter, how its values are written."""
    results = aggregate.results
    return {name: column_format(results.trials[name].tolist()) for name in results.hyperparameters}


def describe_trial(aggregate: Aggregate, trial: int) -> str:
    """`learning rate 1e-3, epsilon 1e-7`; empty without a search."""
    row = aggregate.row(trial)
    formats = hyperparameter_formats(aggregate)
    return ", ".join(f"{title_of(name).lower()} {written(row[name])}" for name, written in formats.items())


def run_tables(aggregate: Aggregate, *, floor: float | None = None, note: str = "") -> list[Table]:
    """Every table of one run; `note` is said in each (`random weights`). Raises BadData without a figure of merit."""
    of_best = [metrics(aggregate, floor=floor, note=note), folds(aggregate, floor=floor, note=note)]
    if not aggregate.results.hyperparameters:
        return of_best
    of_all = [best_trials(aggregate, floor=floor, note=note), all_trials(aggregate, floor=floor, note=note)]
    return of_all + of_best


def best_trials(aggregate: Aggregate, *, floor: float | None = None, note: str = "") -> Table:
    """The ten best trials by the figure of merit: Tables 1.4 and 1.5 of the thesis.

    CSV: rank, trial, the hyperparameters, val_auroc (the figure of merit), val_auroc_sd, epoch (the best), folds_used,
    folds_planned, diverged_epoch, note.
    """
    shown = aggregate.trials.head(BEST_TRIALS)
    count = len(aggregate.trials)
    names = aggregate.results.hyperparameters
    kept = ["rank", "trial", *names, MERIT, f"{MERIT}_sd", "epoch", "folds_used", "folds_planned", "diverged_epoch"]
    which = f"the {len(shown)} best of {count} trials" if count > len(shown) else f"its {count} trials, best first"
    return _table(
        name="best-trials",
        number=_SEARCH_NUMBERS.get(frozenset(names)),
        caption=f"{aggregate.results.title}: {which}. {_merit_words(aggregate)}",
        columns=[
            _Column("Rank", lambda row: format_value(row["rank"])),
            *_hyperparameters(aggregate),
            _mean(MERIT, "Max. mean validation AUROC", floor=True),
            _Column("Epoch", lambda row: format_value(row["epoch"])),
        ],
        frame=_with_floor(shown[[*kept, "note"]], MERIT, floor),
        notes=_notes(aggregate, note),
        floor=floor,
    )


def all_trials(aggregate: Aggregate, *, floor: float | None = None, note: str = "") -> Table:
    """Every trial with every metric at its best epoch. CSV: the columns of `Aggregate.trials`."""
    return _table(
        name="all-trials",
        number=None,
        caption=f"{aggregate.results.title}: validation metrics of every trial at its best epoch. "
        f"{_merit_words(aggregate)}",
        columns=[
            _Column("Rank", lambda row: format_value(row["rank"])),
            _Column("Trial", lambda row: format_value(row["trial"])),
            *_hyperparameters(aggregate),
            *(_mean(f"val_{metric}", title_of(metric), floor=metric == "auroc") for metric in _SHOWN),
            _Column("Epoch", lambda row: format_value(row["epoch"])),
        ],
        frame=_with_floor(aggregate.trials, MERIT, floor),
        notes=_notes(aggregate, note),
        floor=floor,
    )


def metrics(aggregate: Aggregate, *, floor: float | None = None, note: str = "") -> Table:
    """The best trial's metrics on both splits at its best epoch, one row a metric: Table 1.6 of the thesis.

    CSV: metric, train, train_sd, validation, validation_sd, validation_min and validation_max (over the folds), epoch,
    folds_used, folds_planned, diverged_epoch, note.
    """
    best = aggregate.best
    by_fold = _fold_rows(aggregate)
    frame = pd.DataFrame(
        {
            "metric": metric,
            "train": best[metric],
            "train_sd": best[f"{metric}_sd"],
            "validation": best[f"val_{metric}"],
            "validation_sd": best[f"val_{metric}_sd"],
            "validation_min": by_fold[f"val_{metric}"].min(),
            "validation_max": by_fold[f"val_{metric}"].max(),
            **best[["epoch", "folds_used", "folds_planned", "diverged_epoch", "note"]],
        }
        for metric in _SHOWN
    ).astype({"diverged_epoch": "Int64"})
    return _table(
        name="metrics",
        number=None if aggregate.results.hyperparameters else "1.6",
        caption=f"{aggregate.results.title}: metrics of {_best_words(aggregate)}. Mean over {best['folds_used']} folds "
        f"and the least and greatest fold. {_DEVIATION}",
        columns=[
            _Column("Metric", lambda row: title_of(row["metric"]), numeric=False),
            _Column("Training", lambda row: format_mean(row["train"], row["train_sd"])),
            _Column("Validation", lambda row: format_mean(row["validation"], row["validation_sd"]), floor=True),
            _Column("Least", lambda row: format_mean(row["validation_min"])),
            _Column("Greatest", lambda row: format_mean(row["validation_max"])),
        ],
        frame=_with_floor(frame, "validation", floor),
        notes=_notes(aggregate, note),
        floor=floor,
    )


def folds(aggregate: Aggregate, *, floor: float | None = None, note: str = "") -> Table:
    """The best trial's folds at its best epoch, one row a fold. CSV: fold, epoch, the ten metrics, note."""
    best = aggregate.best
    frame = _fold_rows(aggregate)[["fold", "epoch", *ALL_METRICS]].assign(note="")
    shown = {f"val_{metric}": title_of(metric) for metric in _SHOWN}
    shown |= {"auroc": "Training AUROC", "loss": "Training loss"}
    return _table(
        name="folds",
        number=None,
        caption=f"{aggregate.results.title}: validation metrics, fold by fold, of {_best_words(aggregate)}. "
        f"{_DEVIATION}",
        columns=[
            _Column("Fold", lambda row: format_value(row["fold"]), numeric=False),
            *(
                _Column(heading, lambda row, name=name: format_mean(row[name]), floor=name == MERIT)
                for name, heading in shown.items()
            ),
        ],
        frame=_with_floor(frame, MERIT, floor),
        notes=_notes(aggregate, note),
        floor=floor,
        last=("Mean ± SD", *(format_mean(best[name], best[f"{name}_sd"]) for name in shown)),
    )


def comparison(
    aggregates: Sequence[Aggregate], *, floors: Mapping[str, float] | None = None, notes: Sequence[str] = ()
) -> Table:
    """One row a run, in the order given: Table 1.3 of the thesis. Of a run with a search, its best trial.

    floors: by run, where they are known. CSV: run, study, title, trial, epoch, the ten metrics and their sd,
    folds_used, folds_planned, floor, note.
    """
    rows = []
    for aggregate in aggregates:
        results = aggregate.results
        row = {"run": results.run, "study": results.name, "title": results.title, **aggregate.best}
        row["note"] = "; ".join(said for said in (aggregate.note, str(row["note"])) if said)
        rows.append({**row, "floor": (floors or {}).get(results.run, float("nan"))})
    means = [name for metric in ALL_METRICS for name in (metric, f"{metric}_sd")]
    kept = ["run", "study", "title", "trial", "epoch", *means, "folds_used", "folds_planned", "floor", "note"]
    distinct = len({row["title"] for row in rows}) == len(rows)
    columns = [
        _Column("Study", lambda row: str(row["title"]), numeric=False),
        *([] if distinct else [_Column("Run", lambda row: str(row["run"]), numeric=False)]),
        *(_mean(f"val_{metric}", title_of(metric)) for metric in _SHOWN),
        _Column("Epoch", lambda row: format_value(row["epoch"])),
        _Column("Folds", lambda row: format_value(row["folds_used"])),
    ]
    if floors:
        columns.append(_Column(FLOOR, lambda row: format_mean(row["floor"])))
    return _table(
        name="comparison",
        number="1.3",
        caption="Studies compared: validation metrics at the epoch where the mean validation AUROC is greatest. "
        + _DEVIATION,
        columns=columns,
        frame=pd.DataFrame(rows)[kept],
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Column:
    """A shown column: its cell of a row of the frame, and whether the floor's row shows the floor here."""

    heading: str
    show: Callable[..., str]
    numeric: bool = True
    floor: bool = False


def _table(
    *,
    name: str,
    number: str | None,
    caption: str,
    columns: Sequence[_Column],
    frame: pd.DataFrame,
    notes: tuple[str, ...],
    floor: float | None = None,
    last: tuple[str, ...] = (),
) -> Table:
    """The table of `columns` over `frame` (whose last row is the floor's, if there is one); notes where there are."""
    records = frame.to_dict(orient="records")[: len(frame) - (floor is not None)]
    noted = any(record["note"] for record in records) and len({record["note"] for record in records}) > 1
    if noted:
        columns = [*columns, _Column("Note", lambda row: str(row["note"]), numeric=False)]
    elif records and records[0]["note"]:
        notes = (*notes, str(records[0]["note"]))
    rows = [tuple(column.show(record) for column in columns) for record in records]
    if last:
        rows.append((*last, "") if noted else last)
    if floor is not None:
        cells = [format_mean(floor) if column.floor else "" for column in columns]
        rows.append((FLOOR, *cells[1:]))
    return Table(
        name=name,
        number=number,
        caption=caption,
        headings=tuple(column.heading for column in columns),
        rows=tuple(rows),
        numeric=tuple(column.numeric for column in columns),
        frame=frame,
        notes=notes,
    )


def _mean(metric: str, heading: str, *, floor: bool = False) -> _Column:
    return _Column(heading, lambda row: format_mean(row[metric], row[f"{metric}_sd"]), floor=floor)


def _hyperparameters(aggregate: Aggregate) -> list[_Column]:
    return [
        _Column(title_of(name), lambda row, name=name, written=written: written(row[name]))
        for name, written in hyperparameter_formats(aggregate).items()
    ]


def _fold_rows(aggregate: Aggregate) -> pd.DataFrame:
    """The best trial's history rows at its best epoch, one a fold."""
    best = aggregate.best
    histories = aggregate.results.histories
    return histories[(histories["trial"] == best["trial"]) & (histories["epoch"] == best["epoch"])]


def _with_floor(frame: pd.DataFrame, column: str, floor: float | None) -> pd.DataFrame:
    """The frame with one row more, that of the floor: its value under `column`, its name under `note`."""
    if floor is None:
        return frame
    # Nullable integers, since the floor has no rank, trial or epoch, and 3 must not become 3.0.
    whole = {name: "Int64" for name, dtype in frame.dtypes.items() if dtype.kind == "i"}
    grown = frame.reset_index(drop=True).astype(whole).reindex(range(len(frame) + 1))
    grown.loc[len(frame), column] = floor
    grown.loc[len(frame), "note"] = FLOOR.lower()
    return grown


def _merit_words(aggregate: Aggregate) -> str:
    return (
        f"Maximum over epochs of the mean validation AUROC over {aggregate.results.planned_folds} folds. {_DEVIATION}"
    )


def _best_words(aggregate: Aggregate) -> str:
    best = aggregate.best
    described = describe_trial(aggregate, int(best["trial"]))
    which = f"trial {best['trial']} ({described}), the best of {len(aggregate.trials)}," if described else "the model"
    return f"{which} at epoch {best['epoch']}, where its mean validation AUROC is greatest"


def _notes(aggregate: Aggregate, note: str) -> tuple[str, ...]:
    """What every table of the run says: missing folds, the caller's note, the hyperparameters that are fixed."""
    missing = f"{aggregate.note} (missing: {describe_folds(aggregate.results.missing)})" if aggregate.partial else ""
    return tuple(said for said in (missing, note, _fixed_words(aggregate)) if said)


def _fixed_words(aggregate: Aggregate) -> str:
    study = aggregate.results.study["study"]
    named = {**_section(study, "training"), **_section(study, "model")}
    values: dict[str, Any] = {
        name: named[name] for name in ("batch_size", "dropout", "learning_rate", "epsilon") if name in named
    }
    values |= aggregate.results.shared_hyperparameters
    for searched in aggregate.results.hyperparameters:
        values.pop(searched, None)
    powers = {"learning_rate", "epsilon"}
    return ", ".join(
        f"{title_of(name).lower()} {format_value(value, power=name in powers)}" for name, value in values.items()
    )


def _section(study: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = study.get(name)
    return found if isinstance(found, dict) else {}
