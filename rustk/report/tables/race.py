"""The rounds of a race: which fold each trained of how many trials, and who was dropped how far from the best."""

from typing import Any

from rustk.report.data.numbers import ABSENT, format_mean, is_absent
from rustk.report.data.race import Curves, Race
from rustk.report.data.results import RunResults
from rustk.report.data.words import thesis_number
from rustk.report.tables.table import Column, Row, Table, mean_column, word_column


def race_table(results: RunResults, race: Race) -> Table:
    """One row a round.

    CSV: round, fold, trials, kept, dropped (how many), best (trial), best_figure (its figure of merit on the folds
    trained so far), nearest (the dropped trial nearest to it), nearest_figure, dropped_trials (their numbers).
    """
    curves = Curves(results)
    records: list[dict[str, Any]] = []
    for step in race.steps:
        figures = {trial: curves.merit(trial, step.seen) for trial in (*step.trials, *step.whole)}
        known = [(-figure, trial) for trial, figure in figures.items() if figure is not None]
        dropped = step.decided.dropped if step.decided else ()
        near = max((one for one in dropped if one.figure is not None), key=lambda one: one.figure or 0.0, default=None)
        records.append(
            {
                "round": step.number,
                "fold": step.fold,
                "trials": len(step.trials),
                "kept": len(step.decided.kept) if step.decided else len(step.trials),
                "dropped": len(dropped),
                "best": min(known)[1] if known else None,
                "best_figure": -min(known)[0] if known else None,
                "nearest": near.trial if near else None,
                "nearest_figure": near.figure if near else None,
                "dropped_trials": " ".join(str(one.trial) for one in dropped),
            }
        )
    rule = ", ".join(f"{name} {value}" for name, value in race.rule.items() if name != "kind")
    return Table(
        name="race",
        number=thesis_number(results, "race"),
        caption=f"{results.title}: the rounds of its race over folds (rule: {race.kind}{f', {rule}' if rule else ''}). "
        "Figures are the maximum over epochs of the mean validation AUROC over the folds trained so far.",
        columns=(
            Column("round", "Round", first_up=True),
            Column("fold", "Fold trained", first_up=True),
            Column("trials", "Trials in it"),
            Column("kept", "Kept"),
            Column("dropped", "Dropped"),
            word_column("best", "Best trial"),
            mean_column("best_figure", "Its figure"),
            Column("nearest", "Nearest dropped", lambda record: _nearest(record)),
        ),
        rows=tuple(map(Row, records)),
        csv_keys=tuple(records[0]),
    )


def _nearest(record: Any) -> str:
    """`trial 18: 0.7811`, the dropped trial that was nearest to the best."""
    if is_absent(record["nearest"]):
        return ABSENT
    return f"trial {record['nearest']}: {format_mean(record['nearest_figure'])}"
