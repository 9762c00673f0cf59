"""The sentences on what was judged and chosen, beside what test_methods.py holds of whole texts."""

from dataclasses import replace

import pytest

from rustk.planning.races.bootstrap import Race as Bootstrap
from rustk.report.data.words import images_words
from rustk.report.evaluation.analysis import analyse
from rustk.report.evaluation.selection_bias import beyond_words
from rustk.report.methods.composing import write_methods
from rustk.report.methods.evaluating import choice_words, race_words
from tests.report.planted import CLEAN, aggregated, plant
from tests.report.raced import raced

QUICK = replace(CLEAN, patients=40, epochs=1, folds=2)


def test_all_that_the_study_searched_is_named_whatever_trials_share() -> None:
    trials = tuple({"learning_rate": 10.0**-n, "label_smoothing": 0.25} for n in (2, 3))
    search = {"kind": "random", "trials": 2}
    fields = {
        "training.learning_rate": {"low": 1e-4, "high": 0.1, "log": True},
        "training.label_smoothing": {"values": [0.1, 0.25]},
    }
    text = choice_words(
        analyse(aggregated(replace(QUICK, trials=trials, search=(*search.items(), ("parameters", fields)))))
    )
    assert text.startswith("A random search [@random_search] over learning rate and label smoothing had 2 trials. ")
    alone = choice_words(
        analyse(aggregated(replace(QUICK, trials=trials[:1], search=(("kind", "random"), ("parameters", fields)))))
    )
    assert alone.startswith("A random search [@random_search] over learning rate and label smoothing had 1 trial. ")


def test_resamples_are_of_images_where_no_patient_is_known() -> None:
    text = write_methods(analyse(aggregated(replace(QUICK, known_patients=False)))).markdown
    assert "Which patient an image is of was not known." in text
    assert "1,000 bootstrap resamples of images [@bootstrap]" in text
    assert "500 resamples of images" in text
    assert "resamples of patients" not in text
    known = write_methods(analyse(aggregated(QUICK))).markdown
    assert "1,000 bootstrap resamples of patients [@bootstrap]" in known


def test_a_test_split_without_patients_is_counted_in_images() -> None:
    evaluation = analyse(aggregated(replace(QUICK, known_patients=False))).best
    assert evaluation is not None
    assert images_words(evaluation, "test image") == f"{evaluation.images} test images"
    assert race_words(Bootstrap().describe(), 1, evaluation.drawn).count("resamples of images") == 1


def test_a_raced_choice_is_among_the_trials_that_the_race_kept() -> None:
    trials = tuple({"learning_rate": 10.0**-n, "batch_size": 16} for n in range(6))
    plan = replace(CLEAN, patients=100, epochs=2, trials=trials)
    text = choice_words(analyse(raced(plant(plan), plan.run)))
    assert (
        "The trial and the epoch with the greatest mean validation AUROC over the folds, of those that the race kept "
        "to the end, were chosen." in text
    )
    assert "The race was repeated in each resample." in text
    whole = choice_words(analyse(aggregated(QUICK)))
    assert "The trial and the epoch with the greatest mean validation AUROC over the folds were chosen." in whole
    assert "The race was repeated" not in whole


@pytest.mark.parametrize(
    ("beyond", "expected"),
    [
        (None, ""),
        (0.0, "The race was repeated in each resample."),
        (
            0.25,
            "The race was repeated in each resample. In 25% of them the race would have kept a trial that the run "
            "dropped, and that can't be followed there: a part of the optimism stays in the corrected figure.",
        ),
    ],
)
def test_what_a_race_leaves_of_the_optimism_is_told(beyond: float | None, expected: str) -> None:
    analysis = analyse(aggregated(QUICK))
    assert analysis.choice is not None
    choice = replace(analysis.choice, beyond=beyond)
    assert beyond_words(choice) == expected
    assert choice_words(replace(analysis, choice=choice)).endswith(expected or "resamples of patients.")
