"""The page and tables of a run that a race left."""

import csv
import io
from dataclasses import replace

import pytest

from rustk.report.evaluation.analysis import analyse
from rustk.report.page.comparison import write_comparison_page
from rustk.report.page.report import Report, make_report
from rustk.report.page.run import write_page
from tests.report.planted import CLEAN, plant
from tests.report.raced import raced

PLAN = replace(
    CLEAN,
    run="raced-00000001",
    patients=100,
    epochs=2,
    trials=tuple({"learning_rate": 10.0**-n, "batch_size": 16} for n in range(6)),
)


@pytest.fixture(scope="module")
def report() -> Report:
    return make_report(analyse(raced(plant(PLAN), PLAN.run)))


def test_the_page_says_what_the_race_saved_and_may_have_cost(report: Report) -> None:
    page = write_page(report).decode()
    for told in (
        "A race over folds dropped 4 trials before all their folds were trained; the best is among the 2 that it kept.",
        "The race over folds (halving) left",
        "What it may have cost is not known",
        "The race was repeated in each resample.",
        "left out by the race",
        "fold 0: not trained",
        "of those that a race over folds (halving) kept to the end",
        "were not trained on every fold, for the race dropped them",
    ):
        assert told in page, told
    assert "missing" not in page
    choice = report.analysis.choice
    assert choice is not None
    assert choice.beyond is not None
    optimism = "a part of the optimism stays in the corrected figure"
    assert (optimism in page) == (choice.beyond > 0)
    # In the section on the search, and in the methods.
    assert page.count("The race was repeated in each resample.") == 2
    assert report.analysis.absent == ()


def test_every_form_of_the_tables_names_who_was_dropped(report: Report) -> None:
    for name in ("best-trials", "all-trials"):
        files = report.tables[name].files()
        for kind in ("csv", "md", "tex"):
            text = files[f"{name}.{kind}"].decode()
            assert text.count("dropped in round 1 of 4") == 3, (name, kind)
            assert text.count("dropped in round 2 of 4") == 1
    rows = list(csv.DictReader(io.StringIO(report.tables["all-trials"].csv())))
    assert [row["dropped_round"] for row in rows[:-1]][:3] == ["", "", "2"]
    assert [row["folds_used"] for row in rows[:3]] == ["4", "4", "2"]
    rounds = list(csv.DictReader(io.StringIO(report.tables["race"].csv())))
    assert [(row["trials"], row["kept"], row["dropped"]) for row in rounds] == [
        ("6", "3", "3"),
        ("3", "2", "1"),
        ("2", "2", "0"),
        ("2", "2", "0"),
    ]


def test_a_raced_run_is_compared_by_its_best_trial(report: Report) -> None:
    whole = make_report(analyse(raced(plant(replace(PLAN, run="other-00000001", signal=0.4)), "other-00000001")))
    page = write_comparison_page([report, whole]).decode()
    assert "a fold is missing" not in page
    assert "no test over folds" not in page
