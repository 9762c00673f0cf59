"""A race: how far below the best each trial was, round by round, and where it was dropped.

What decides is the distance to the best on the same folds; figures themselves move with the folds. Distances of a
thousandth and of a tenth both matter, so they stand on a logarithmic axis, the best at the top.
"""

import math
from collections.abc import Callable
from typing import Any

from rustk.report.charts.base import Axis, Chart, Dot, Key, Line, Mark, Panel
from rustk.report.charts.base.data import ChartData
from rustk.report.data.aggregate import Aggregate
from rustk.report.data.race import Curves, Race, race_of, saved_words
from rustk.report.data.words import counted, describe_row, describe_trial, hyperparameter_formats, thesis_number

ORDER = 5
# Distances below this are drawn as this: the last digit that tables give.
_LEAST = 1e-4


def describe(data: ChartData) -> Chart | None:
    """The lines of all trials; None for a run without a race."""
    results = data.aggregate.results
    race = race_of(results)
    if race is None:
        return None
    gaps = _gaps(race, Curves(results))
    reached = [math.log10(gap) for line in gaps.values() for _, gap in line if gap is not None]
    lowest = math.ceil(max([*reached, math.log10(_LEAST) + 1]) * 4) / 4 + 0.1
    best, longest = int(data.aggregate.best["trial"]), max(map(len, race.races))
    marks = _marks(data.aggregate, race, gaps, best, lowest)
    sizes = [sum(len(steps[place].trials) for steps in race.races if place < len(steps)) for place in range(longest)]
    ticks = tuple((float(place), f"{place}: {counted(size, 'trial')}") for place, size in enumerate(sizes, start=1))
    left = sorted(
        {trial for steps in race.races for trial in steps[-1].trials} - {one.trial for _, one in race.dropped}
    )
    told = ", ".join(f"round {place}: {counted(size, 'trial')}" for place, size in enumerate(sizes, start=1))
    title = results.title
    return Chart(
        name="race",
        number=thesis_number(results, "race"),
        title=f"{title}: race over folds, {counted(len(results.trials), 'trial')}",
        note=data.notes,
        caption=f"{title}: distance of each trial to the best of the round, by the figure of merit on the folds "
        f"trained so far. A cross is where the rule ({race.kind}) dropped a trial. Distances below {_LEAST:g} are "
        "drawn at the top.",
        alt=f"Race of {counted(len(results.trials), 'trial')} of {title}. In {told}; "
        f"{counted(len(left), 'trial')} left. {saved_words(results, race)}",
        panels=(
            Panel(
                Axis("Round", 0.8, longest + 0.2, ticks),
                _gap_axis(lowest),
                tuple(marks),
                alt="Distance of each trial to the best, by round",
            ),
        ),
        height=3.2,
        legend=(
            Key("race-best", f"trial {best}, the best{_described(data.aggregate, best)}"),
            Key("race-kept", "kept to the end"),
            Key("race-dropped", "dropped"),
        ),
    )


def _gaps(race: Race, curves: Curves) -> dict[int, list[tuple[int, float | None]]]:
    """For each trial its (round of its race, distance to the round's best); None without a figure."""
    found: dict[int, list[tuple[int, float | None]]] = {}
    for steps in race.races:
        for place, step in enumerate(steps, start=1):
            figures = {trial: curves.merit(trial, step.seen) for trial in (*step.trials, *step.whole)}
            known = [figure for figure in figures.values() if figure is not None]
            for trial in step.trials:
                figure = figures[trial]
                gap = None if figure is None else max(max(known) - figure, _LEAST)
                found.setdefault(trial, []).append((place, gap))
    return found


def _marks(
    aggregate: Aggregate,
    race: Race,
    gaps: dict[int, list[tuple[int, float | None]]],
    best: int,
    lowest: float,
) -> list[Mark]:
    formats = hyperparameter_formats(aggregate)
    rows = {int(row["trial"]): row for row in aggregate.trials.to_dict(orient="records")}
    dropped = {one.trial: (decided, one) for decided, one in race.dropped}
    lines: list[Mark] = []
    ends: list[Mark] = []
    # The best is drawn last, so that nothing covers it.
    for trial in sorted(gaps, key=lambda trial: (trial == best, trial not in dropped)):
        role = "race-best" if trial == best else "race-dropped" if trial in dropped else "race-kept"
        places = [place for place, _ in gaps[trial]]
        heights = [-lowest if gap is None else -math.log10(gap) for _, gap in gaps[trial]]
        told = _told(rows[trial], formats)
        if trial in dropped:
            decided, one = dropped[trial]
            own = "no figure" if one.figure is None else f"{one.figure:.4f}"
            told += f"dropped in round {decided.number}: {own} against {one.best_figure:.4f}; {one.why}"
            ends.append(Dot(places[-1], heights[-1], "unranked", "x", tip=told, size=2.6))
        else:
            told += "kept to the end"
            ends.append(Dot(places[-1], heights[-1], "trial", tip=told, size=2.4))
        lines.append(Line(places, heights, role))
        if trial == best:
            ends.append(Dot(places[-1], heights[-1], "ring", size=4.5))
    return [*lines, *ends]


def _told(row: dict[Any, Any], formats: dict[str, Callable[[Any], str]]) -> str:
    return f"trial {int(row['trial'])}: {describe_row(row, formats)}\n"


def _gap_axis(lowest: float) -> Axis:
    """Upwards to smaller distances: places are by minus the logarithm."""
    ticks = [(-math.log10(gap), f"{gap:g}") for gap in (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)]
    shown = [(place, text) for place, text in ticks if place >= -lowest]
    top = -math.log10(_LEAST)
    return Axis("Below the best of the round", -lowest, top + 0.15, (*shown, (top, "0")))


def _described(aggregate: Aggregate, trial: int) -> str:
    described = describe_trial(aggregate, trial)
    return f": {described}" if described else ""
