"""The sentences on the model and its training give the values of the trial that they are of."""

from dataclasses import replace

import pytest

from rustk.report.methods.training import model_words, training_words
from tests.report.planted import CLEAN, Plan, aggregated

QUICK = replace(CLEAN, patients=40, epochs=3, folds=2)


def told(plan: Plan, trial: int = 0) -> str:
    results = aggregated(plan).results
    return f"{model_words(results, trial)} {training_words(results, trial)}"


@pytest.mark.parametrize("count", [1, 2])
def test_what_all_trials_share_is_told_as_they_had_it(count: int) -> None:
    trials = tuple(
        {"learning_rate": 10.0**-n, "label_smoothing": 0.25, "head": "12", "objective": "corn"} for n in range(count)
    )
    text = told(replace(QUICK, trials=trials, training=(("label_smoothing", 0.1),), model=(("objective", "onehot"),)))
    assert "Further settings: label smoothing 0.25." in text
    assert "a dense layer of 12 units" in text
    assert "conditional ordinal regression" in text


def test_searched_whole_numbers_are_told_as_the_trial_had_them() -> None:
    trials = tuple({"head_epochs": epochs, "learning_rate": 1e-3} for epochs in (2, 0))
    search = (("parameters", {"training.head_epochs": [2, 0], "training.learning_rate": [1e-3]}),)
    training = (("head_epochs", 1), ("features", "off"))
    plan = replace(QUICK, trials=trials, search=search, training=training, model=(("trainable", True),))
    assert "Further settings: head epochs 2." in told(plan, 0)
    # A search over it names it, at its default too.
    assert "Further settings: head epochs 0." in told(plan, 1)


def test_a_whole_number_that_was_published_as_a_float_is_the_trial_s() -> None:
    trials = tuple({"head_epochs": epochs} for epochs in (2.0, 0.0))
    text = told(replace(QUICK, trials=trials, training=(("head_epochs", 1),), model=(("trainable", True),)))
    assert "head epochs 2." in text


def test_a_value_that_its_field_does_not_take_leaves_it_untold() -> None:
    text = told(replace(QUICK, trials=({"head": "wide"}, {"head": "12"}), model=(("head", [1024]),)))
    assert "units" not in text


@pytest.mark.parametrize(
    ("trainable", "epochs", "expected"),
    [
        (True, 2, "and trained throughout, after 2 epochs in which the head alone was trained."),
        (2, 1, "and fine-tuned in its last 2 blocks, after 1 epoch in which the head alone was trained."),
        (True, 0, "and trained throughout."),
        (False, 0, "and kept frozen."),
    ],
)
def test_epochs_of_the_head_alone_are_told_with_what_was_trained(
    trainable: bool | int, epochs: int, expected: str
) -> None:
    training = (("head_epochs", epochs),)
    text = told(replace(QUICK, trials=({},), training=training, model=(("trainable", trainable),)))
    assert expected in text
    searched = replace(QUICK, trials=({"head_epochs": epochs},), model=(("trainable", trainable),))
    assert expected in told(searched)


def test_blocks_that_stayed_random_are_no_result() -> None:
    text = told(replace(QUICK, trials=({},), weights="random", model=(("trainable", 1),)))
    assert "was initialised with random weights and fine-tuned in its last block." in text
    assert "drawn at random and, but for its last block, never trained, so the figures say nothing" in text
    assert "not a scientific result" in text
    throughout = told(replace(QUICK, trials=({},), weights="random", model=(("trainable", True),)))
    assert "not a scientific result" not in throughout
