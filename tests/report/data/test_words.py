"""What a trial was trained with, in words and in plain values."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rustk.report.data.words import asked_section, chosen_hyperparameters, effect_words, weights_note
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


@pytest.mark.parametrize(
    ("recorded", "asked", "expected"),
    [
        (34, 1000, " (34 in effect)"),
        (34, 34, ""),
        (float(np.float32(0.1234565)), 0.1234565, ""),  # in six digits the two are written otherwise
        (float(np.float32(0.01)), 0.1, " (0.01 in effect)"),
        (True, 1000, ""),
        (None, 1000, ""),
    ],
)
def test_what_was_in_effect_is_told_where_it_was_not_what_was_asked_for(
    recorded: Any, asked: float, expected: str
) -> None:
    results = aggregated(replace(QUICK, also_in_effect=(("own", recorded),))).results
    assert effect_words(results, "own", asked) == expected
    assert effect_words(results, "own", asked, trial=1) == expected
    assert effect_words(results, "unrecorded", asked) == ""


def test_many_numbers_in_effect_are_told_by_the_least_and_the_greatest() -> None:
    results = aggregated(replace(QUICK, folds=4, trials=({},))).results
    metadata = {
        task: found.model_copy(update={"in_effect": {"batch_size": 30 + task[1]}})
        for task, found in results.fold_metadata.items()
    }
    assert effect_words(replace(results, fold_metadata=metadata), "batch_size", 64) == " (30 to 33 in effect)"


@pytest.mark.parametrize(
    ("weights", "trainable", "expected"),
    [
        ("random", False, "frozen backbone with random weights"),
        ("random", 1, "backbone with random weights, frozen but for its last block"),
        ("random", 2, "backbone with random weights, frozen but for its last 2 blocks"),
        ("random", True, ""),
        ("imagenet", 1, ""),
        ("imagenet", False, ""),
    ],
)
def test_random_weights_that_nothing_trained_are_noted(weights: str, trainable: bool | int, expected: str) -> None:
    plan = replace(QUICK, trials=({},), weights=weights, model=(("trainable", trainable),))
    assert weights_note(aggregated(plan).results) == expected
