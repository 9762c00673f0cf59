"""What a trial was trained with, in words and in plain values."""

from dataclasses import replace

from rustk.report.data.words import asked_section, chosen_hyperparameters
from tests.report.planted import CLEAN, aggregated

QUICK = replace(CLEAN, patients=40, epochs=1, folds=2)
TRIALS = (
    {"batch_size": 9, "learning_rate": 0.5, "head": "12", "own": 3},
    {"batch_size": 8, "learning_rate": 0.25, "head": "none", "own": 3},
)


def test_values_are_plain_python() -> None:
    found = chosen_hyperparameters(aggregated(replace(QUICK, trials=TRIALS)).results, 0)
    assert {name: type(found[name]) for name in TRIALS[0]} == {
        "batch_size": int,
        "learning_rate": float,
        "head": str,
        "own": int,
    }


def test_a_section_has_the_trial_s_values_in_place_of_the_study_s() -> None:
    results = aggregated(replace(QUICK, trials=TRIALS)).results
    assert [asked_section(results, trial, "model")["head"] for trial in (0, 1)] == [(12,), ()]
    assert [asked_section(results, trial, "training")["batch_size"] for trial in (0, 1)] == [9, 8]
    assert asked_section(results, 0, "model")["architecture"] == "inception_v3"
    assert "own" not in asked_section(results, 0, "training")
