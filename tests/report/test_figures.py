import itertools
import re
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from rustk.report.aggregate import Aggregate, aggregate
from rustk.report.figures import (
    Drawing,
    example_trials,
    heat_map,
    learning_curves,
    run_figures,
    scatter,
    search_figure,
)
from rustk.report.figures.style import styled
from rustk.report.results import load_run
from rustk.store import open_store
from tests.report.runs import TINY_VAL_AUROC, history, write_run, write_shaped, write_tiny

GRID = [(rate, epsilon) for rate in (1e-1, 1e-2, 1e-3, 1e-4) for epsilon in (1e-1, 1e-3, 1e-5, 1e-7, 1e-8)]


def read(store: Path, run: str) -> Aggregate:
    return aggregate(load_run(open_store(str(store)), run), allow_partial=True)


def shaped(store: Path, kind: str) -> Aggregate:
    """Runs of the shapes that there are figures for."""
    rng = np.random.default_rng(1)
    study = {"name": kind, "title": kind.capitalize()}
    match kind:
        case "grid":
            trials = pd.DataFrame(GRID, columns=["learning_rate", "epsilon"])
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
            raise AssertionError(kind)
    trials.insert(0, "trial", range(len(trials)))
    write_shaped(store, kind, trials, folds=2, epochs=6, study=study)
    return read(store, kind)


KINDS = ("grid", "random", "final", "four")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Aggregate]:
    return {kind: shaped(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_overlaps_or_leaves_the_figure(shapes: dict[str, Aggregate], kind: str) -> None:
    for drawing in run_figures(shapes[kind], floor=0.7123, note="frozen backbone with random weights"):
        boxes = _drawn_texts(drawing.figure)
        assert len(boxes) > 12
        page = drawing.figure.bbox
        for text, box in boxes.items():
            assert page.x0 <= box.x0 <= box.x1 <= page.x1, (drawing.name, text)
            assert page.y0 <= box.y0 <= box.y1 <= page.y1, (drawing.name, text)
        for (one, first), (other, second) in itertools.combinations(boxes.items(), 2):
            assert not _overlap(first, second), (drawing.name, one, other)


def _drawn_texts(figure: Figure) -> dict[str, Bbox]:
    """Where every text that is drawn stands, shrunk by a pixel; by its words and a number."""
    drawn: list[Text] = []
    draw = Text.draw

    def record(text: Text, renderer: RendererBase) -> None:
        if text.get_visible() and text.get_text().strip():
            drawn.append(text)
        draw(text, renderer)

    canvas = FigureCanvasAgg(figure)
    with styled():
        figure.draw_without_rendering()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Text, "draw", record)
            canvas.draw()
        boxes = {}
        for number, text in enumerate(drawn):
            box = Text.get_window_extent(text, canvas.get_renderer())
            if text is figure._suptitle:  # its empty lines are there for the note
                box = Bbox.from_extents(box.x0, box.y1 - box.height * _share_written(text), box.x1, box.y1)
            boxes[f"{number}: {text.get_text()}"] = box.padded(-1)
    return boxes


def _share_written(text: Text) -> float:
    lines = text.get_text().split("\n")
    return sum(bool(line.strip()) for line in lines) / len(lines)


def _overlap(one: Bbox, other: Bbox) -> bool:
    return bool(one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1)


def test_a_figure_is_the_same_bytes_each_time_and_says_nothing_of_when(shapes: dict[str, Aggregate]) -> None:
    averaged = shapes["grid"]
    once, again = (search_figure(averaged, floor=0.7).files() for _ in range(2))
    assert set(once) == {"search-heat-map.png", "search-heat-map.svg", "search-heat-map.pdf"}
    assert once == again
    assert once["search-heat-map.png"].startswith(b"\x89PNG")
    assert once["search-heat-map.pdf"].startswith(b"%PDF")
    svg = once["search-heat-map.svg"].decode()
    assert "<dc:title>Grid: greatest mean validation AUROC of each learning rate and epsilon" in svg
    assert not re.search(r"\b20\d\d-\d\d-\d\d", svg)
    assert b"CreationDate" not in once["search-heat-map.pdf"]


def test_settings_of_the_caller_are_neither_used_nor_changed(shapes: dict[str, Aggregate]) -> None:
    averaged = shapes["final"]
    plain = learning_curves(averaged).files()
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "black"}):
        assert learning_curves(averaged).files() == plain
        assert matplotlib.rcParams["font.size"] == 20


def test_curves_are_red_and_blue_with_the_mean_in_bold(shapes: dict[str, Aggregate]) -> None:
    averaged = shapes["final"]
    axes = learning_curves(averaged, floor=0.7).figure.axes[0]
    bold = [line for line in axes.lines if line.get_linewidth() == 2.0]
    faint = [line for line in axes.lines if line.get_alpha() is not None]
    assert [line.get_color() for line in bold] == ["#CC3311", "#0077BB"]
    assert len(faint) == 4  # two folds, training and validation
    assert all(line.get_linewidth() < 1 for line in faint)
    mean = averaged.epochs["val_auroc"].to_numpy()
    assert np.array_equal(bold[1].get_ydata(), mean)
    level = {line.get_linestyle(): line.get_ydata()[0] for line in axes.lines if len(line.get_xdata()) == 2}
    assert level[":"] == mean.max()
    assert level["--"] == 0.7


def test_a_loss_that_spans_decades_is_drawn_on_a_logarithmic_axis(tmp_path: Path) -> None:
    for run, highest in (("steep", 3e4), ("gentle", 0.9)):
        histories = {(0, 0): history([0.5, 0.6, 0.7], loss=[highest, 0.5, 0.4])}
        write_run(tmp_path, run, pd.DataFrame({"trial": [0]}), histories, folds=1)
    assert learning_curves(read(tmp_path, "steep")).figure.axes[1].get_yscale() == "log"
    assert learning_curves(read(tmp_path, "gentle")).figure.axes[1].get_yscale() == "linear"


def test_the_heat_map_shows_every_value_in_its_cell(shapes: dict[str, Aggregate]) -> None:
    averaged = shapes["grid"]
    drawing = heat_map(averaged)
    axes = drawing.figure.axes[0]
    labels = {text.get_text() for text in axes.get_xticklabels()}
    assert labels == {"10⁻¹", "10⁻³", "10⁻⁵", "10⁻⁷", "10⁻⁸"}
    written = {
        (round(text.get_position()[0]), round(text.get_position()[1])): text.get_text()
        for text in axes.texts
        if not text.get_text().startswith("±")
    }
    columns, rows = [1e-8, 1e-7, 1e-5, 1e-3, 1e-1], [1e-1, 1e-2, 1e-3, 1e-4]
    for row in averaged.trials.itertuples():
        assert written[columns.index(row.epsilon), rows.index(row.learning_rate)] == f"{row.val_auroc:.3f}"
    assert drawing.number == "1.8"


def test_what_has_no_value_says_why(tmp_path: Path) -> None:
    histories = {task: history(values) for task, values in TINY_VAL_AUROC.items() if task[0] != 1}
    histories |= {(2, 1): history([np.nan, np.nan]), (3, 0): history([0.5]), (3, 1): history([0.6])}
    trials = pd.DataFrame({"trial": range(4), "learning_rate": [0.1, 0.1, 0.01, 0.01], "epsilon": [0.1, 0.01] * 2})
    write_run(tmp_path, "holes", trials, histories, folds=2)
    averaged = read(tmp_path, "holes")
    texts = [text.get_text() for text in heat_map(averaged).figure.axes[0].texts]
    assert "missing" in texts
    assert "diverged\nepoch 1" in texts
    labels = _legend_labels(scatter(averaged))
    assert "no value: diverged or missing" in labels


@pytest.mark.parametrize("draw", [learning_curves, example_trials, search_figure])
def test_partial_averages_and_notes_are_said_above_every_figure(tmp_path: Path, draw: type[Drawing]) -> None:
    write_tiny(tmp_path, without=((0, 1),))
    drawing = draw(read(tmp_path, "tiny-00000001"), note="random weights")  # type: ignore[call-arg, arg-type]
    above = [text.get_text() for text in drawing.figure.findobj(Text)]  # type: ignore[attr-defined]
    assert any(text.startswith("partial: 5 of 6 folds · random weights") for text in above)


@pytest.mark.parametrize("kind", KINDS)
def test_the_floor_is_drawn_and_named_in_every_figure(shapes: dict[str, Aggregate], kind: str) -> None:
    averaged = shapes[kind]
    for drawing in run_figures(averaged, floor=0.7123):
        assert any(label.startswith("view-only floor 0.7123") for label in _legend_labels(drawing)), drawing.name
        levels = [
            line.get_ydata()[0]
            for axes in drawing.figure.axes
            for line in axes.lines
            if len(line.get_xdata()) == 2 and line.get_linestyle() == "--"
        ]
        assert 0.7123 in levels, drawing.name
    for drawing in run_figures(averaged):
        assert not any("floor" in label for label in _legend_labels(drawing))


def _legend_labels(drawing: Drawing) -> list[str]:
    return [text.get_text() for legend in drawing.figure.legends for text in legend.get_texts()]


def test_examples_go_from_the_best_to_the_worst(tmp_path: Path, shapes: dict[str, Aggregate]) -> None:
    averaged = shapes["grid"]
    titles = [axes.get_title() for axes in example_trials(averaged).figure.axes]
    assert [title.split(" (")[0] for title in titles] == [
        "Best",
        "Second best",
        "Upper quartile",
        "Median",
        "Lower quartile",
        "Worst",
    ]
    assert titles[0].startswith(f"Best (rank 1): {averaged.best['val_auroc']:.4f}\nlearning rate 10⁻")
    few = write_tiny(tmp_path)
    titles = [axes.get_title() for axes in example_trials(read(tmp_path, few.name)).figure.axes if axes.get_title()]
    assert [title.split(":")[0] for title in titles] == ["Best (rank 1)", "Median (rank 2)", "Worst (rank 3)"]


def test_each_study_of_the_thesis_has_its_figures(shapes: dict[str, Aggregate]) -> None:
    def numbers(kind: str) -> dict[str, str | None]:
        return {drawing.name: drawing.number for drawing in run_figures(shapes[kind])}

    assert numbers("grid") == {"search-heat-map": "1.8", "example-trials": "1.6", "learning-curves": None}
    assert numbers("random") == {"search-scatter": "1.5", "example-trials": "1.6", "learning-curves": None}
    assert numbers("final") == {"learning-curves": "1.7"}


def test_a_search_over_words_and_a_single_epoch_can_be_drawn(tmp_path: Path) -> None:
    trials = pd.DataFrame({"trial": [0, 1, 2], "optimizer": ["adam", "sgd", "rmsprop"]})
    histories = {(trial, 0): history([0.5 + trial / 10]) for trial in range(3)}
    write_run(tmp_path, "words", trials, histories, folds=1)
    drawings = run_figures(read(tmp_path, "words"), floor=0.6)
    assert [drawing.name for drawing in drawings] == ["search-panels", "example-trials", "learning-curves"]
    assert all(drawing.alt for drawing in drawings)
    assert len(drawings[0].files()) == 3
