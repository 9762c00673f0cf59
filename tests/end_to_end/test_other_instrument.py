"""A whole small study on other instruments than mRUST: one of the tests alone, and one of a single view.

The first has three views, scales of different lengths, one of them with a gap, and words of its own. Whatever stands
anywhere as a number or a word of mRUST's is found here.
"""

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rustk.store.runs import load_plan, publish_plan
from rustk.vocabulary import names
from rustk.vocabulary.errors import EXIT_BAD_DATA, EXIT_BAD_STUDY, BadData, BadStudy
from rustk.vocabulary.parquet import read_parquet
from tests.end_to_end.conftest import Laptop
from tests.instruments import ODD, SINGLE

pytestmark = pytest.mark.tensorflow

# Which sites a view of the odd instrument shows here; `core` is left to the data.
SHOWN = {"a": ("rim",), "b": ("rim", "core"), "c": ("core", "seam")}
PATIENTS = 24
STUDY: dict[str, Any] = {
    "model": {"architecture": "lenet", "weights": "random", "head": [8]},
    "training": {"epochs": 2, "batch_size": 16, "learning_rate": 1e-2},
    "folds": {"scheme": "patient", "k": 2},
}
# What only mRUST's report may say. A shipped title with its own words is no such thing.
RUSTS_WORDS = r"\bm?RUST\b|[Cc]ort(ex|ices)|[Tt]ibia|[Uu]nion\b|medial|anterior|posterior|\bap\b|\bAP\b|lateral"


def write_clinic(folder: Path) -> None:
    """Small pictures with a bar as bright as each score that their view shows, and the table of their labels."""
    generator = np.random.default_rng(0)
    (folder / "images").mkdir()
    rows = []
    for patient in range(PATIENTS):
        scores = {site.name: site.scores[patient % len(site.scores)] for site in ODD.sites}
        for view, shown in SHOWN.items():
            pixels = generator.integers(0, 40, (40, 48))
            for place, site in enumerate(ODD.site_names):
                if site in shown:
                    pixels[12 * place + 3 : 12 * place + 12] += 40 * scores[site]
            name = f"{patient:02d}{view}.png"
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "images" / name)
            # Every ninth patient's core could not be scored.
            given = {s: scores[s] if s in shown and (s != "core" or patient % 9) else "" for s in ODD.site_names}
            rows.append({"image": name, "patient": f"p{patient}", "visit": "first", "view": view, **given})
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def odd(laptop: Laptop) -> Laptop:
    """The odd instrument's study, finished: built, searched, tested and reported."""
    laptop.write_yaml("odd.yaml", ODD.model_dump(mode="json"))
    write_clinic(laptop.folder)
    build = ("dataset", "build", "images", "--name", "odd", "--instrument", "odd.yaml", "--size", "32")
    wrong = (laptop.folder / "labels.csv").read_text().replace(",b,2,3,\n", ",b,2,4,\n")
    (laptop.folder / "wrong.csv").write_text(wrong)
    with pytest.raises(BadData) as refused:
        laptop(*build, "--labels", "wrong.csv", "--processes", "1")
    assert refused.value.exit_code == EXIT_BAD_DATA
    assert list(laptop.store.list("")) == []
    built = laptop(*build, "--labels", "labels.csv", "--processes", "1")
    assert "scored by odd" in built

    search = {"kind": "grid", "parameters": {"training.learning_rate": [1e-2, 1e-4]}}
    laptop.write_yaml("study.yaml", {"name": "odd-search", **STUDY, "search": search})
    planned = laptop("plan", "study.yaml", "--name", "odd-run")
    assert re.search(r"dataset +odd: \d+ images of 32x32 to develop on, scored by odd", planned)
    submitted = laptop("submit", "study.yaml", "--name", "odd-run", "--workers", "1")
    assert "run odd-run is complete" in submitted
    made = laptop("final", "odd-run", "--yes")
    assert "The test split was opened once, last by run odd-run" in made
    laptop("aggregate", "odd-run", "--output", "report")
    return laptop


@pytest.fixture(scope="module")
def single(laptop: Laptop) -> Laptop:
    """Kellgren and Lawrence's grade on drawn knees, finished too, without a search.

    Trained in this process: that the commands start workers, the other study shows.
    """
    from rustk.cli.planning import PlanFlags, plan_from
    from rustk.training.final import train_final
    from rustk.training.fold import run_fold
    from rustk.training.run_worker import RunWorker

    drawn = ("--images", "40", "--size", "32", "--name", "knees", "--processes", "1")
    laptop("phantom", "--instrument", "kellgren-lawrence", *drawn)
    laptop.write_yaml("one.yaml", {"name": "one", **STUDY})
    flags = PlanFlags(str(laptop.folder / "one.yaml"), "knees", [], "knee-run", None)
    publish_plan(laptop.store, plan_from(flags, laptop.store).plan)
    worker = RunWorker(laptop.store, "knee-run")
    for task in worker.plan.tasks:
        run_fold(worker, *task)
    assert "complete: rustk aggregate knee-run" in laptop("status", "knee-run")
    asked = laptop.run("final", "knee-run")
    assert "there is no terminal to ask on" in str(asked.exception)
    assert "class-frequency floor 0." in asked.output
    train_final(laptop.store, "knee-run")
    made = laptop("final", "knee-run")
    assert "The test split was opened" in made
    laptop("aggregate", "knee-run", "--output", "knee-report")
    return laptop


def rows_of(report: Path, table: str) -> list[dict[str, str]]:
    with (report / "tables" / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def words_of(report: Path) -> str:
    """What a reader of a report reads: the page without its tags, and the tables."""
    page = re.sub(r"<(script|style)\b.*?</\1>", " ", (report / "index.html").read_text(), flags=re.DOTALL)
    tables = [path.read_text() for path in sorted((report / "tables").glob("*.csv"))]
    return re.sub(r"\s+", " ", "\n".join([re.sub(r"<[^>]+>", " ", page), *tables]))


def columns_of(laptop: Laptop, key: str) -> list[str]:
    return list(read_parquet(laptop.store.read(key), key).column_names)


def test_the_instrument_travels_whole(odd: Laptop) -> None:
    for document in (names.dataset_key("odd"), names.model_card_key("odd-run")):
        assert json.loads(odd.store.read(document))["instrument"] == ODD.model_dump(mode="json")
    assert load_plan(odd.store, "odd-run").instrument == ODD
    index = columns_of(odd, names.dataset_index_key("odd"))
    assert [name for name in index if name in ODD.site_names] == list(ODD.site_names)


def test_a_head_has_an_output_for_each_label(odd: Laptop, single: Laptop) -> None:
    for run, instrument in (("odd-run", ODD), ("knee-run", SINGLE)):
        for key in (names.prediction_key(run, 0, 1), names.test_prediction_key(run)):
            columns = columns_of(odd, key)
            assert [name for name in columns if name in instrument.labels] == list(instrument.labels)
            assert not [name for name in columns if name.startswith("view_") and name not in instrument.labels]
    assert len(ODD.labels) == 12
    assert SINGLE.labels == tuple(f"grade_{score}" for score in range(5))


def test_status_tells_a_finished_run(odd: Laptop) -> None:
    told = json.loads(odd("status", "odd-run", "--json"))
    assert (told["complete"], told["counts"]["done"], told["dataset"]) == (True, 4, "odd")
    assert "complete: rustk aggregate odd-run" in odd("status", "odd-run")


def test_tables_and_page_speak_of_the_instrument(odd: Laptop) -> None:
    report = odd.folder / "report"
    said = words_of(report)
    assert re.findall(RUSTS_WORDS, said) == []
    for words in ("An instrument of the tests", "rim place", "core 1, 2, 3 or 5", "Places: calibration and confusion"):
        assert words in said
    assert [row["label"] for row in rows_of(report, "labels")] == list(ODD.labels)
    figures = {row["figure"]: row["title"] for row in rows_of(report, "figures")}
    for key, title in {
        "kappa_core": "Quadratic weighted kappa, core place",
        "mae_total": "Mean absolute error, odd total",
        "sensitivity_total_4": "Sensitivity of odd total ≥ 4: sound",
        "specificity_seam_1": "Specificity of seam place ≥ 1: sealed",
    }.items():
        assert figures[key] == title
    assert {row["floor"] for row in rows_of(report, "figures") if row["figure"] == "auroc_in_view"} == {"0.5"}
    assert "View-only floor" in said


def test_a_gap_in_a_scale_stays_a_gap(odd: Laptop) -> None:
    scores = rows_of(odd.folder / "report", "scores")
    assert [name for name in scores[0] if name.startswith("score_")] == [f"score_{n}" for n in (0, 1, 2, 3, 5)]
    counted = {(row["view"], row["site"]) for row in scores}
    assert counted == {(view, site) for view, sites in SHOWN.items() for site in sites}
    core = next(row for row in scores if (row["split"], row["view"], row["site"]) == ("develop", "c", "core"))
    assert int(core["unscored"]) + sum(int(core[f"score_{n}"]) for n in (1, 2, 3, 5)) == int(core["images"])
    assert (int(core["unscored"]) > 0, core["score_0"]) == (True, "")


def test_scores_of_a_visit_and_their_total(odd: Laptop) -> None:
    files = ("images/05a.png", "images/05c.png")
    said = json.loads(odd("predict", *files, "--view", "a", "--view", "c", "--run", "odd-run", "--json"))
    found = [{site: score["score"] for site, score in image["sites"].items()} for image in said["images"]]
    assert [list(sites) for sites in found] == [["rim"], ["core", "seam"]]
    shares = said["images"][1]["sites"]["core"]["probabilities"]
    assert list(shares) == ["1", "2", "3", "5"]
    assert sum(shares.values()) == pytest.approx(1)
    assert list(said["images"][0]["probabilities"]) == list(ODD.labels)
    assert said["total"] == sum(score for sites in found for score in sites.values())
    assert ("sound (odd total at least 4)" in said["meanings"]) == (said["total"] >= 4)
    assert ("sealed (seam at least 1)" in said["meanings"]) == (found[1]["seam"] >= 1)
    # Two views that both show the core count the same.
    twice = json.loads(odd("predict", *files, "--view", "b", "--view", "c", "--run", "odd-run", "--json"))
    assert twice["sites"]["core"]["images"] == list(files)
    assert twice["total"] == sum(site["score"] for site in twice["sites"].values())
    with pytest.raises(BadStudy, match="--view 'ap'") as refused:
        odd("predict", files[0], "--view", "ap", "--run", "odd-run")
    assert refused.value.exit_code == EXIT_BAD_STUDY


def test_a_single_view_has_no_view_labels_and_no_view_floor(single: Laptop) -> None:
    report = single.folder / "knee-report"
    said = words_of(report)
    assert re.findall(RUSTS_WORDS, said) == []
    assert "Class-frequency floor" in said
    assert "View-only floor" not in said
    assert "Kellgren-Lawrence grade of osteoarthritis" in said
    assert [row["label"] for row in rows_of(report, "labels")] == list(SINGLE.labels)
    figures = [row["figure"] for row in rows_of(report, "figures")]
    assert "sensitivity_grade_2" in figures
    assert [key for key in figures if "total" in key] == []


def test_a_single_grade_has_no_total(single: Laptop) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 40), np.uint8)).save(single.folder / "knee.png")
    said = json.loads(single("predict", "knee.png", "--run", "knee-run", "--json"))
    assert said["total"] is None
    assert list(said["images"][0]["sites"]) == ["grade"]
    assert list(said["images"][0]["sites"]["grade"]["probabilities"]) == list("01234")
    grade = said["images"][0]["sites"]["grade"]["score"]
    assert (said["meanings"] == ["osteoarthritis (grade at least 2)"]) == (grade >= 2)
