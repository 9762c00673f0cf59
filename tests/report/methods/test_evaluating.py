"""The sentences on what was judged and chosen, beside what test_methods.py holds of whole texts."""

from dataclasses import replace

from rustk.planning.races.bootstrap import Race as Bootstrap
from rustk.report.data.words import images_words
from rustk.report.evaluation.analysis import analyse
from rustk.report.methods.composing import write_methods
from rustk.report.methods.evaluating import choice_words, race_words
from tests.report.planted import CLEAN, aggregated

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
