import io
import itertools
import re
import zlib
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from fontTools.ttLib import TTFont
from PIL import Image

from rustk.report.charts import run_charts
from rustk.report.charts.base import Axis, Cell, Chart, Dot, Line, Panel, Rule, linear_axis
from rustk.report.charts.base.data import ChartData
from rustk.report.charts.base.printer import Printer, print_charts
from rustk.report.charts.base.printing import arrange, files_of
from rustk.report.charts.base.sheet import Words
from rustk.report.charts.base.svg import panel_svg
from rustk.report.charts.example_trials import describe as example_trials
from rustk.report.charts.learning_curves import describe as learning_curves
from rustk.report.charts.search_heat_map import describe as heat_map
from rustk.report.charts.search_scatter import describe as scatter
from rustk.report.data.aggregate import Aggregate, aggregate
from rustk.report.data.results import load_run
from rustk.store import open_store
from tests.report.runs import TINY_VAL_AUROC, history, write_run, write_shaped, write_tiny

GRID = [(rate, epsilon) for rate in (1e-1, 1e-2, 1e-3, 1e-4) for epsilon in (1e-1, 1e-3, 1e-5, 1e-7, 1e-8)]


def read(store: Path, run: str) -> Aggregate:
    return aggregate(load_run(open_store(str(store)), run), allow_partial=True)


def shaped(store: Path, kind: str) -> Aggregate:
    """Runs of the shapes that there are charts for."""
    rng = np.random.default_rng(1)
    study: dict[str, object] = {"name": kind, "title": kind.capitalize()}
    match kind:
        case "grid":
            trials = pd.DataFrame(GRID, columns=["learning_rate", "epsilon"])
            study["numbers"] = {"search-heat-map": "1.8"}
        case "random":
            trials = pd.DataFrame({"batch_size": rng.integers(16, 2049, 30), "dropout": rng.uniform(0, 0.5, 30)})
        case "final":
            trials = pd.DataFrame(index=range(1))
        case "four":
            study["title"] = "A search over four hyperparameters whose title is too long for a line of the figure"
            trials = pd.DataFrame({"batch_size": rng.integers(16, 2049, 9), "dropout": rng.uniform(0, 0.5, 9)})
            trials["learning_rate"] = 10 ** rng.uniform(-4, -1, 9)
            trials["epsilon"] = 10 ** rng.uniform(-8, -1, 9)
        case _:
            raise ValueError(kind)
    trials.insert(0, "trial", range(len(trials)))
    write_shaped(store, kind, trials, folds=2, epochs=6, study=study)
    return read(store, kind)


KINDS = ("grid", "random", "final", "four")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Aggregate]:
    return {kind: shaped(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


def charts_of(averaged: Aggregate, **more: object) -> dict[str, Chart]:
    return {chart.name: chart for chart in run_charts(ChartData.of(averaged, **more))}


def made(chart: Chart | None) -> Chart:
    assert chart is not None
    return chart


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_overlaps_or_leaves_the_sheet(shapes: dict[str, Aggregate], kind: str) -> None:
    for chart in charts_of(shapes[kind], floor=0.7123, note="frozen backbone with random weights").values():
        sheet = arrange(chart)
        boxes = {f"{place}: {words.text}": words.box() for place, words in enumerate(sheet.words) if words.text}
        assert len(boxes) > 12
        for text, box in boxes.items():
            assert 0 <= box.left <= box.right <= 7.2 * 72, (chart.name, text)
            assert 0 <= box.top <= box.bottom <= sheet.height, (chart.name, text)
        for (one, first), (other, second) in itertools.combinations(boxes.items(), 2):
            apart = first.right <= second.left or second.right <= first.left
            apart = apart or first.bottom <= second.top + 0.5 or second.bottom <= first.top + 0.5
            assert apart, (chart.name, one, other)


def test_a_figure_is_the_same_bytes_each_time_and_says_nothing_of_when(shapes: dict[str, Aggregate]) -> None:
    chart = made(heat_map(ChartData.of(shapes["grid"], floor=0.7)))
    once, again = (files_of(chart) for _ in range(2))
    assert set(once) == {"search-heat-map.png", "search-heat-map.svg", "search-heat-map.pdf"}
    assert once == again
    assert once["search-heat-map.png"].startswith(b"\x89PNG")
    assert once["search-heat-map.pdf"].startswith(b"%PDF")
    svg = once["search-heat-map.svg"].decode()
    assert "<dc:title>Grid: greatest mean validation AUROC of each learning rate and epsilon" in svg
    assert not re.search(r"\b20\d\d-\d\d-\d\d", svg)
    assert b"CreationDate" not in once["search-heat-map.pdf"]


def test_a_pdf_embeds_its_letters_without_the_tables_that_nobody_reads(shapes: dict[str, Aggregate]) -> None:
    """Cutting those down took longer than all else of a figure."""
    data = files_of(learning_curves(ChartData.of(shapes["final"])))["learning-curves.pdf"]
    packed = (part.partition(b"endstream")[0] for part in re.split(rb"(?<!end)stream\r?\n", data)[1:])
    streams = [zlib.decompressobj().decompress(part) for part in packed if part.startswith(b"x")]
    fonts = [TTFont(io.BytesIO(stream)) for stream in streams if stream.startswith(b"\0\1\0\0")]
    assert fonts
    for font in fonts:
        assert len(font.getGlyphOrder()) > 1
        assert {"glyf", "cmap", "hmtx"} <= set(font.keys())
        assert not {"GSUB", "GPOS", "kern"} & set(font.keys())


def test_a_png_has_300_dpi_and_is_not_blank(shapes: dict[str, Aggregate], tmp_path: Path) -> None:
    """Fault 20: a journal's figure at 200 dpi."""
    chart = learning_curves(ChartData.of(shapes["final"]))
    path = tmp_path / "drawn.png"
    path.write_bytes(files_of(chart)["learning-curves.png"])
    with Image.open(path) as image:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert image.size[0] == 2160
        colours = {colour[:3] for _, colour in image.convert("RGB").getcolors(1 << 24) or []}
    assert {(204, 51, 17), (0, 119, 187), (255, 255, 255)} <= colours


def test_settings_of_the_caller_are_neither_used_nor_changed(shapes: dict[str, Aggregate]) -> None:
    chart = learning_curves(ChartData.of(shapes["final"]))
    plain = files_of(chart)
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "black", "savefig.dpi": 50}):
        assert files_of(chart) == plain
        assert matplotlib.rcParams["font.size"] == 20


def test_a_process_prints_the_same_bytes(shapes: dict[str, Aggregate]) -> None:
    charts = list(charts_of(shapes["final"]).values())
    with Printer() as printer:
        printer.print({"final": charts})
        found = printer.files()
    assert found == print_charts([("final", chart) for chart in charts])


def test_where_the_process_dies_the_charts_are_printed_all_the_same(shapes: dict[str, Aggregate]) -> None:
    charts = list(charts_of(shapes["final"]).values())
    with Printer() as printer:
        printer._processes[0].kill()
        printer._processes[0].wait()
        printer.print({"final": charts})
        assert set(printer.files()["final"]) == {f"learning-curves.{kind}" for kind in ("png", "svg", "pdf")}


def test_curves_have_folds_faint_and_the_mean_in_bold(shapes: dict[str, Aggregate]) -> None:
    averaged = shapes["final"]
    panel = learning_curves(ChartData.of(averaged, floor=0.7)).panels[0]
    lines = [mark for mark in panel.marks if isinstance(mark, Line)]
    assert [line.role for line in lines] == ["fold train"] * 2 + ["fold val"] * 2 + ["mean train", "mean val"]
    assert [line.key for line in lines] == ["0", "1", "0", "1", "", ""]
    mean = averaged.epochs["val_auroc"].to_numpy()
    assert np.array_equal(lines[-1].y, mean)
    assert {mark.role: mark.value for mark in panel.marks if isinstance(mark, Rule)} == {
        "floor": 0.7,
        "best": mean.max(),
    }


def test_a_loss_that_spans_decades_is_drawn_on_a_logarithmic_axis(tmp_path: Path) -> None:
    for run, highest in (("steep", 3e4), ("gentle", 0.9)):
        histories = {(0, 0): history([0.5, 0.6, 0.7], loss=[highest, 0.5, 0.4])}
        write_run(tmp_path, run, pd.DataFrame({"trial": [0]}), histories, folds=1)
    loss = [learning_curves(ChartData.of(read(tmp_path, run))).panels[1].y for run in ("steep", "gentle")]
    assert [axis.logarithmic for axis in loss] == [True, False]
    assert all(axis.low < value < axis.high for axis in loss for value, _ in axis.ticks)


def test_the_heat_map_shows_every_value_in_its_cell(shapes: dict[str, Aggregate]) -> None:
    averaged = shapes["grid"]
    chart = made(heat_map(ChartData.of(averaged)))
    panel = chart.panels[0]
    assert [text for _, text in panel.x.ticks] == ["1e-8", "1e-7", "1e-5", "1e-3", "1e-1"]
    cells = {(mark.x, mark.y): mark for mark in panel.marks if isinstance(mark, Cell)}
    columns, rows = [1e-8, 1e-7, 1e-5, 1e-3, 1e-1], [1e-4, 1e-3, 1e-2, 1e-1]
    for row in averaged.trials.itertuples():
        cell = cells[columns.index(row.epsilon), rows.index(row.learning_rate)]
        assert cell.text == f"{row.val_auroc:.3f}"
        assert cell.best == (row.rank == 1)
        assert f"trial {row.trial}: " in cell.tip
    assert chart.number == "1.8"
    drawn = [words.text for words in arrange(chart).words]
    assert "10⁻⁷" in drawn
    assert "1e-7" not in " ".join(drawn)


def test_what_has_no_value_says_why(tmp_path: Path) -> None:
    histories = {task: history(values) for task, values in TINY_VAL_AUROC.items() if task[0] != 1}
    lost = history([np.nan, np.nan], loss=[np.nan, np.nan])
    histories |= {(2, 1): lost, (3, 0): history([0.5]), (3, 1): history([0.6])}
    trials = pd.DataFrame({"trial": range(4), "learning_rate": [0.1, 0.1, 0.01, 0.01], "epsilon": [0.1, 0.01] * 2})
    write_run(tmp_path, "holes", trials, histories, folds=2)
    data = ChartData.of(read(tmp_path, "holes"))
    cells = {(cell.text, cell.below) for cell in made(heat_map(data)).panels[0].marks if isinstance(cell, Cell)}
    assert {("missing", ""), ("diverged", "epoch 1")} <= cells
    scattered = pd.DataFrame({"trial": range(4), "learning_rate": [0.1, 0.2, 0.3, 0.4], "epsilon": [1e-1] * 3 + [1e-2]})
    write_run(tmp_path, "scattered", scattered, histories, folds=2)
    chart = made(scatter(ChartData.of(read(tmp_path, "scattered"))))
    assert "no value: diverged or missing" in [key.label for key in chart.legend]


@pytest.mark.parametrize("draw", [learning_curves, example_trials, scatter])
def test_partial_averages_and_notes_are_said_above_every_figure(tmp_path: Path, draw: object) -> None:
    write_tiny(tmp_path, without=((0, 1),))
    chart = draw(ChartData.of(read(tmp_path, "tiny-00000001"), note="random weights"))  # type: ignore[operator]
    assert chart.note.startswith("partial: 5 of 6 folds · random weights")
    assert any(words.text.startswith("partial: 5 of 6 folds · random") for words in arrange(chart).words)


@pytest.mark.parametrize("kind", KINDS)
def test_the_floor_is_drawn_and_named_in_every_figure(shapes: dict[str, Aggregate], kind: str) -> None:
    for chart in charts_of(shapes[kind], floor=0.7123, floor_title="Class-frequency floor").values():
        assert any(key.label.startswith("class-frequency floor 0.7123") for key in chart.legend), chart.name
        rules = [mark.value for mark in chart.panels[0].marks if isinstance(mark, Rule)]
        assert 0.7123 in rules or (chart.scale is not None and chart.scale.floor == 0.7123), chart.name
        if chart.scale is not None:
            assert chart.scale.low < 0.7123 < chart.scale.high
    for chart in charts_of(shapes[kind]).values():
        assert not any("floor" in key.label for key in chart.legend)


def test_nine_examples_go_from_the_best_to_the_worst(tmp_path: Path, shapes: dict[str, Aggregate]) -> None:
    """Fault 7: the thesis's figure of examples has nine."""
    averaged = shapes["grid"]
    panels = made(example_trials(ChartData.of(averaged))).panels
    assert [panel.heading[0].split(" (")[0] for panel in panels] == [
        "Best",
        "Second best",
        "Upper quartile",
        "Above median",
        "Median",
        "Below median",
        "Lower quartile",
        "Lower eighth",
        "Worst",
    ]
    assert panels[0].heading[0] == f"Best (rank 1): {averaged.best['val_auroc']:.4f}"
    assert panels[0].heading[1].startswith("learning rate 1e-")
    assert len({(panel.y.low, panel.y.high) for panel in panels}) == 1
    few = write_tiny(tmp_path)
    panels = made(example_trials(ChartData.of(read(tmp_path, few.name)))).panels
    assert [panel.heading[0].split(":")[0] for panel in panels] == [
        "Best (rank 1)",
        "Second best (rank 2)",
        "Worst (rank 3)",
    ]


def test_each_kind_of_search_has_its_charts_in_order(shapes: dict[str, Aggregate]) -> None:
    assert list(charts_of(shapes["grid"])) == ["search-heat-map", "example-trials", "learning-curves"]
    assert list(charts_of(shapes["random"])) == ["search-scatter", "example-trials", "learning-curves"]
    four = ["search-panels", "parallel-coordinates", "example-trials", "learning-curves"]
    assert list(charts_of(shapes["four"])) == four
    assert list(charts_of(shapes["final"])) == ["learning-curves"]
    # A number of the thesis stands only where the study's own file gives it.
    assert [chart.number for chart in charts_of(shapes["grid"]).values()] == ["1.8", None, None]
    assert {chart.number for kind in ("random", "four", "final") for chart in charts_of(shapes[kind]).values()} == {
        None
    }


def test_a_search_over_words_and_a_single_epoch_can_be_drawn(tmp_path: Path) -> None:
    trials = pd.DataFrame({"trial": [0, 1, 2], "optimizer": ["adam", "sgd", "rmsprop"]})
    histories = {(trial, 0): history([0.5 + trial / 10]) for trial in range(3)}
    write_run(tmp_path, "words", trials, histories, folds=1)
    charts = charts_of(read(tmp_path, "words"), floor=0.6)
    assert list(charts) == ["search-panels", "example-trials", "learning-curves"]
    assert all(chart.alt for chart in charts.values())
    assert len(files_of(charts["search-panels"])) == 3
    assert len(files_of(charts["learning-curves"])) == 3


def test_a_run_with_val_auroc_alone_has_its_curves(tmp_path: Path) -> None:
    bare = {task: history(values)[["epoch", "val_auroc"]] for task, values in TINY_VAL_AUROC.items()}
    trials = pd.DataFrame({"trial": [0, 1, 2], "learning_rate": [1e-1, 1e-2, 1e-3], "epsilon": [1e-7, 1e-7, 1e-8]})
    write_run(tmp_path, "bare", trials, bare, folds=2)
    chart = charts_of(read(tmp_path, "bare"))["learning-curves"]
    assert [panel.y.label for panel in chart.panels] == ["AUROC"]
    assert len(files_of(chart)) == 3


def test_a_panel_is_one_drawing_for_screen_and_print() -> None:
    marks = (
        Line((1.0, 2.0, 3.0), (0.1, float("nan"), 0.3), "fold val", "4"),
        Dot(2.0, 0.2, "trial", tip="trial 7: 1e-3"),
    )
    panel = Panel(linear_axis("Epoch", 1, 3, whole=True), Axis("AUROC", 0.0, 0.5, ((0.0, "0.0"), (0.5, "0.5"))), marks)
    svg = panel_svg(panel, "A <title>")
    assert svg.count('class="fold val" data-fold="4"') == 2  # broken where there is no value
    assert 'data-tip="trial 7: 10⁻³"' in svg
    assert 'aria-label="A &lt;title&gt;"' in svg
    assert 'tabindex="0"' in svg
    sheet = arrange(Chart("drawn", "A title", "", "", (panel,)))
    assert {"Epoch", "AUROC", "A title", "0.5"} <= {words.text for words in sheet.words}
    assert Words(0, 0, "0", 8).box().right == pytest.approx(8 * 0.636, abs=0.2)
