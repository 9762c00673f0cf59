"""A methods section says what the run's files tell, cites what was used, and nothing else."""

import re
from dataclasses import replace

import pytest

from rustk.planning.races.bootstrap import Race as Bootstrap
from rustk.planning.races.halving import Race as Halving
from rustk.report.evaluation.analysis import analyse
from rustk.report.evaluation.sealed import SealedTest
from rustk.report.methods import references
from rustk.report.methods.composing import Methods, write_methods
from rustk.report.methods.evaluating import race_words
from rustk.store.documents import Opening, now
from rustk.vocabulary import names
from rustk.vocabulary.kinds import kinds
from tests.report.planted import CLEAN, VIEW_ONLY, Plan, Shelf, aggregated, plant


def methods_of(plan: Plan, shelf: Shelf | None = None) -> Methods:
    return write_methods(analyse(aggregated(plan, shelf)))


@pytest.fixture(scope="module")
def clean() -> Methods:
    return methods_of(CLEAN)


@pytest.fixture(scope="module")
def flawed() -> Methods:
    plan = replace(VIEW_ONLY, split_patients=True, missing=((1, 2),), weights="random", dead_batch_size=True)
    return methods_of(plan)


@pytest.fixture(scope="module")
def bare() -> Methods:
    return methods_of(replace(CLEAN, without=("predictions", "folds", "index", "metadata")))


@pytest.mark.parametrize("which", ["clean", "flawed", "bare"])
def test_what_is_cited_is_what_is_listed(which: str, request: pytest.FixtureRequest) -> None:
    methods: Methods = request.getfixturevalue(which)
    cited = list(dict.fromkeys(re.findall(r"@(\w+)\]", methods.markdown)))
    assert cited == [reference.key for reference in methods.references]
    entries = re.findall(r"^@\w+\{(\w+),$", methods.bibtex, re.MULTILINE)
    assert entries == cited
    assert methods.bibtex.count("{") == methods.bibtex.count("}")
    shown = " ".join(methods.numbered(text) for _, text in methods.paragraphs)
    assert [int(number) for number in dict.fromkeys(re.findall(r"\[(\d+)\]", shown))] == [
        *range(1, len(methods.references) + 1)
    ]
    assert "@" not in shown
    assert not re.search(r"None(?! of)|nan\b|\{|\}|  ", shown), shown


def test_a_clean_run_is_told_with_its_figures(clean: Methods) -> None:
    text = clean.markdown
    best = aggregated(CLEAN).best
    assert f"was {best['val_auroc']:.4f} (standard deviation {best['val_auroc_sd']:.4f})" in text
    for said in (
        "394 images of 138 patients to develop on and 56 images of 22 patients in a test split",
        "Adam [@adam], a learning rate of 1e-3, in batches of 64",
        "grouped by patient (scikit-learn's StratifiedGroupKFold [@scikit_learn])",
        "None of 138 patients stands on both sides of a split",
        "TensorFlow 2.21 [@tensorflow], Keras 3.15 [@keras]",
        "BBC-CV [@bbc_cv] over 6 pairs",
        "This was epoch 3 of trial 0 (learning rate 1e-3, batch size 64)",
    ):
        assert said in text
    assert "radimagenet" not in text
    assert "dropped" not in text
    assert clean.references[0].note.startswith("Litrenta J")


def test_what_speaks_against_a_run_is_said(flawed: Methods) -> None:
    for said in (
        "random weights and kept frozen",
        "are not a scientific result",
        "image i in fold i mod k, whichever patient it is of",
        "patients stand on both sides of a split",
        "1 of 8 planned folds was missing",
        "in batches of 32 (64 was asked for)",
    ):
        assert said in flawed.markdown
    assert not {"imagenet", "scikit_learn"} & {reference.key for reference in flawed.references}


def test_what_was_not_recorded_is_not_claimed(bare: Methods) -> None:
    assert "what was in effect was not recorded" in bare.markdown
    assert "could not be checked" in bare.markdown
    assert "software that trained the folds were not recorded" in bare.markdown
    cited = {reference.key for reference in bare.references}
    assert not {"adam", "tensorflow", "keras", "bbc_cv", "bootstrap", "auroc", "instrument"} & cited


def test_what_was_trained_is_what_the_folds_recorded_whatever_the_study_says() -> None:
    recorded = (("architecture", "lenet"), ("head", "64-32"), ("pooling", "flatten"), ("flips", "none"))
    text = methods_of(replace(CLEAN, also_in_effect=recorded)).markdown
    assert "LeNet" in text
    assert "Inception" not in text
    assert "flattening and dense layers of 64 and 32 units" in text
    assert "flip" not in text


def test_phantoms_are_called_so() -> None:
    shelf = plant(CLEAN)
    shelf.put_document(names.dataset_key("phantom"), source={"kind": "phantom"})
    from rustk.report.data.aggregate import aggregate
    from rustk.report.data.results import load_run

    text = write_methods(analyse(aggregate(load_run(shelf, CLEAN.run)))).markdown
    assert "394 phantom images of 138 drawn patients" in text
    assert "nothing here is evidence about patients" in text


def test_a_look_at_the_test_split_is_told() -> None:
    analysis = analyse(aggregated(CLEAN))
    look = Opening(number=1, run="another", trial=0, epochs=3, dataset_digest="0", opened=now())
    assert "## Test" in write_methods(analysis, SealedTest((look,), known=True)).markdown
    assert "## Test" not in write_methods(analysis, SealedTest()).markdown


def test_every_kind_that_ships_is_told_in_words() -> None:
    assert set(kinds("training/backbones")) <= set(references.BACKBONES)
    assert set(kinds("training/objectives")) <= set(references.OBJECTIVES)
    cited = [key for _, key in references.BACKBONES.values()] + [key for _, key in references.OBJECTIVES.values()]
    assert set(kinds("planning/races")) == set(references.RACES)
    cited += [key for _, key in references.RACES.values()]
    cited += [*references.WEIGHTS.values(), *references.SEARCHES.values()]
    assert {key for key in cited if key} <= set(references.REFERENCES)


@pytest.mark.parametrize(
    ("race", "dropped", "told"),
    [
        (
            Halving().describe(),
            12,
            "Trials were raced fold by fold [@successive_halving]: each round kept the best 50% of its trials, and at "
            "least 8. In this way 12 trials were dropped before the last fold.",
        ),
        (
            Bootstrap().describe(),
            1,
            "Trials were raced fold by fold [@bbc_cv]: each round dropped the trials that were worse than the best one "
            "in more than 99% of 1,000 resamples of patients. In this way 1 trial was dropped before the last fold.",
        ),
        (
            {"kind": "mine", "factor": 0.5, "rounds": 3},
            0,
            "Trials were raced fold by fold: rule `mine` with factor 0.5 and rounds 3. In this way 0 trials were "
            "dropped before the last fold.",
        ),
        ({"kind": "halving"}, 2, "Trials were raced fold by fold [@successive_halving]: rule `halving`. In this way 2"),
    ],
)
def test_a_race_is_told_by_its_rule(race: dict[str, object], dropped: int, told: str) -> None:
    assert race_words(race, dropped).startswith(told)
