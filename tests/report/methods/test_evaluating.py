"""The sentences on what was judged and chosen, beside what test_methods.py holds of whole texts."""

from dataclasses import replace

from rustk.report.evaluation.analysis import analyse
from rustk.report.methods.evaluating import choice_words
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
