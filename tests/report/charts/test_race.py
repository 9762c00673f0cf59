"""The charts of a race, and of searches over many hyperparameters of any kind."""

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rustk.planning.races.halving import Race as Halving
from rustk.report.charts import run_charts
from rustk.report.charts.base import Cell, Chart, Dot, Label, Line
from rustk.report.charts.base.data import ChartData
from rustk.report.charts.base.printing import arrange, files_of
from rustk.report.charts.base.search import is_geometric, searched_axis
from rustk.report.charts.base.svg import panel_svg
from rustk.report.data.aggregate import Aggregate, aggregate
from rustk.report.data.results import load_run
from rustk.store import open_store
from tests.report.raced import hold_race
from tests.report.runs import write_shaped

MANY = 16


def searched(store: Path, trials: pd.DataFrame, *, race: bool = False, search: object = None) -> Aggregate:
    trials = trials.assign(trial=range(len(trials)))
    write_shaped(store, "run", trials, folds=4, epochs=3, study={"name": "run", "title": "Run", "search": search})
    opened = open_store(str(store))
    if race:
        hold_race(opened, "run", Halving(least=3))
    return aggregate(load_run(opened, "run"))


def many() -> pd.DataFrame:
    """Two numbers, words, truth values, and what a list is in trials.parquet."""
    rng = np.random.default_rng(0)
    trials = pd.DataFrame(
        {"learning_rate": 10 ** rng.uniform(-4, -1, MANY), "batch_size": 2 ** rng.integers(4, 9, MANY)}
    )
    trials["objective"] = rng.choice(["onehot", "ordinal", "a-name-too-long-for-its-place"], MANY)
    trials["balanced"] = rng.choice([True, False], MANY)
    trials["head"] = rng.choice(["1024-512", "256", "none"], MANY)
    for name in ("dropout", "epsilon"):
        trials[name] = rng.uniform(1e-3, 0.5, MANY)
    return trials


def charts_of(averaged: Aggregate, **more: object) -> dict[str, Chart]:
    return {chart.name: chart for chart in run_charts(ChartData.of(averaged, **more))}


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Chart]:
    return charts_of(searched(tmp_path_factory.mktemp("many"), many(), race=True), floor=0.5)


def test_every_kind_of_hyperparameter_has_its_place(charts: dict[str, Chart]) -> None:
    assert list(charts) == ["race", "search-panels", "parallel-coordinates", "example-trials", "learning-curves"]
    first, second = charts["parallel-coordinates"].panels  # six axes, and the seventh
    assert [text for _, text in first.x.ticks][:4] == ["Learning rate", "Batch size", "Objective", "Balanced"]
    assert [text for _, text in second.x.ticks] == ["Epsilon", "Mean AUROC"]
    labels = {mark.text for mark in first.marks if isinstance(mark, Label)}
    assert {"1e-3", "16", "256", "onehot", "a-name-too-lo…", "true", "false", "1024-512", "none"} <= labels


def test_lines_of_dropped_trials_end_before_the_figure(charts: dict[str, Chart]) -> None:
    lines = [mark for mark in charts["parallel-coordinates"].panels[0].marks if isinstance(mark, Line) and mark.tip]
    lengths = {role: {len(line.x) for line in lines if line.role == role} for role in {line.role for line in lines}}
    assert lengths == {"trace-best": {7}, "trace": {7}, "trace-dropped": {6}}
    assert sum(line.role == "trace-dropped" for line in lines) == MANY - 3
    assert lines[-1].role == "trace-best"
    dropped = next(line for line in lines if line.role == "trace-dropped")
    assert "dropped in round 1 of 4" in dropped.tip
    assert "over 1 fold" in dropped.tip


def test_the_race_shows_who_was_dropped_when_and_by_how_much(charts: dict[str, Chart]) -> None:
    chart = charts["race"]
    (panel,) = chart.panels
    assert [text for _, text in panel.x.ticks] == ["1: 16 trials", "2: 8 trials", "3: 4 trials", "4: 3 trials"]
    crosses = [mark for mark in panel.marks if isinstance(mark, Dot) and mark.shape == "x"]
    assert [sum(dot.x == place for dot in crosses) for place in (1, 2, 3, 4)] == [8, 4, 1, 0]
    for dot in crosses:
        own, best = map(float, dot.tip.split("dropped in round ")[1].split(": ")[1].split(";")[0].split(" against "))
        # Figures are told with four decimals.
        assert 10**-dot.y == pytest.approx(max(best - own, 1e-4), abs=1.1e-4)
        assert panel.y.low < dot.y < panel.y.high
    best = [mark for mark in panel.marks if isinstance(mark, Line)][-1]
    assert best.role == "race-best"
    assert best.y[-1] == -math.log10(1e-4)
    assert "it dropped 13 of 16 trials" in chart.alt


def test_example_trials_and_panels_are_of_whole_trials(charts: dict[str, Chart]) -> None:
    assert len(charts["example-trials"].panels) == 3
    assert "13 trials that the race dropped have no figure of every fold." in charts["example-trials"].caption
    for panel in charts["search-panels"].panels:
        assert sum(isinstance(mark, Dot) and mark.role == "trial" for mark in panel.marks) == 3


def test_nothing_overlaps_and_all_can_be_printed_and_shown(charts: dict[str, Chart]) -> None:
    for name in ("race", "parallel-coordinates", "search-panels"):
        chart = charts[name]
        sheet = arrange(chart)
        boxes = [(words.text, words.box()) for words in sheet.words if words.text]
        for text, box in boxes:
            assert 0 <= box.left <= box.right <= 7.2 * 72, (name, text)
            assert 0 <= box.top <= box.bottom <= sheet.height, (name, text)
        for (one, first), (other, second) in itertools.combinations(boxes, 2):
            apart = first.right <= second.left or second.right <= first.left
            assert apart or first.bottom <= second.top + 0.5 or second.bottom <= first.top + 0.5, (name, one, other)
        for panel in chart.panels:
            svg = panel_svg(panel, panel.alt)
            assert 'tabindex="0"' in svg
            assert f'aria-label="{panel.alt}"' in svg
    assert len(files_of(charts["race"])) == 3


def test_the_end_of_the_colour_bar_that_is_dark_is_the_good_one(charts: dict[str, Chart]) -> None:
    sheet = arrange(charts["parallel-coordinates"])
    assert sheet.shade(1.0) == "#440154"
    assert arrange(charts["race"]).shade(0.0) == "#440154"


def test_cells_and_dots_of_dropped_trials_say_so(tmp_path: Path) -> None:
    grid = pd.DataFrame([(a, b) for a in (1e-1, 1e-2) for b in (0.1, 0.2, 0.3)], columns=["learning_rate", "dropout"])
    averaged = searched(tmp_path / "grid", grid, race=True)
    panel = charts_of(averaged)["search-heat-map"].panels[0]
    cells = [mark for mark in panel.marks if isinstance(mark, Cell)]
    assert sorted(cell.below for cell in cells if cell.text == "dropped") == ["round 1"] * 3
    assert all(cell.share is None for cell in cells if cell.text == "dropped")
    drawn = pd.DataFrame({"dropout": np.linspace(0.1, 0.5, 6), "objective": ["onehot", "corn", "soft"] * 2})
    chart = charts_of(searched(tmp_path / "drawn", drawn, race=True))["search-scatter"]
    assert "dropped by the race: no figure of every fold" in [key.label for key in chart.legend]
    assert [text for _, text in chart.panels[0].y.ticks] == ["corn", "onehot", "soft"]


def test_axes_are_logarithmic_where_values_were_drawn_or_laid_out_so(tmp_path: Path) -> None:
    search = {"kind": "random", "parameters": {"model.width": {"low": 20, "high": 90, "type": "int", "log": True}}}
    trials = pd.DataFrame(
        {"width": [20, 33, 47, 71, 90], "batch_size": [16, 32, 64, 128, 16], "size": [16, 30, 50, 99, 9]}
    )
    averaged = searched(tmp_path, trials, search=search)
    axes = {name: searched_axis(averaged, name).axis for name in trials}
    assert {name: axis.logarithmic for name, axis in axes.items()} == {"width": True, "batch_size": True, "size": False}
    assert [text for _, text in axes["width"].ticks] == ["20", "40", "60", "80"]
    assert [text for _, text in axes["batch_size"].ticks] == ["16", "32", "64", "128"]
    assert not is_geometric([0.1, 0.2, 0.3])
    assert not is_geometric([1, 10])
    assert is_geometric([1e-4, 1e-2, 1e-3, 1e-3])
