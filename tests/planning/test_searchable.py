"""Which fields a search may vary, and how their values stand in a table."""

from typing import Literal

import pytest

from rustk.planning.searchable import BY_PATH, NOT_SEARCHED, SEARCHABLE, searchable_fields
from rustk.planning.sections import Model, Training
from rustk.planning.study import Study
from rustk.report.data.planned import _TAKEN
from rustk.vocabulary.checking import Strict
from rustk.vocabulary.errors import BadStudy
from tests.planning.plans import study_of

ALL = {f"model.{name}" for name in Model.model_fields} | {f"training.{name}" for name in Training.model_fields}


def test_every_field_of_model_and_training_can_be_searched_or_says_why_not() -> None:
    assert set(BY_PATH) | set(NOT_SEARCHED) == ALL
    assert not set(BY_PATH) & set(NOT_SEARCHED)


def test_no_hyperparameter_is_called_as_a_column_of_the_results_is() -> None:
    assert not {*SEARCHABLE} & {*_TAKEN, "trial"}


def test_two_fields_of_one_name_are_refused() -> None:
    class One(Strict):
        rate: float = 0.0

    class Other(Strict):
        rate: int = 0

    with pytest.raises(ValueError, match=r"^b\.rate and a\.rate would have one column in trials\.parquet: rate$"):
        searchable_fields({"a": One, "b": Other})


def test_types_are_read_from_the_schema() -> None:
    class Section(Strict):
        rate: float | None = None
        kind: Literal["x", "y"] = "x"
        widths: tuple[int, ...] = ()
        deep: tuple[tuple[int, ...], ...] = ()
        mixed: int | str = 0
        named: dict[str, int] | None = None

    found = searchable_fields({"s": Section})
    assert {name: (field.type, field.is_list) for name, field in found.items()} == {
        "rate": (float, False),
        "kind": (str, False),
        "widths": (int, True),
    }


@pytest.mark.parametrize(
    ("name", "value", "encoded"),
    [
        ("head", (1024, 512), "1024-512"),
        ("head", (8,), "8"),
        ("head", (), "none"),
        ("flips", ("vertical", "horizontal"), "horizontal-vertical"),
        ("flips", (), "none"),
        ("batch_size", 8.0, 8),
        ("learning_rate", 1, 1.0),
        ("pooling", "max", "max"),
    ],
)
def test_a_value_goes_to_the_table_and_back(name: str, value: object, encoded: object) -> None:
    field = SEARCHABLE[name]
    assert field.encode(value) == encoded
    assert type(field.encode(value)) is type(encoded)
    study: Study = study_of("name: a").with_hyperparameters({name: field.encode(value)})
    assert study.hyperparameter(name) == encoded
    assert field.encode(encoded) == encoded


@pytest.mark.parametrize(("name", "value"), [("head", "8-wide"), ("head", "-"), ("flips", "diagonal"), ("pooling", 5)])
def test_what_no_field_takes_is_refused_when_it_is_read(name: str, value: str | int) -> None:
    with pytest.raises(BadStudy, match=f"{name}"):
        study_of("name: a").with_hyperparameters({name: value})


@pytest.mark.parametrize(
    ("study", "said"),
    [
        ("training.dropout: [0.1]", "there is no field 'training.dropout'; did you mean model.dropout?"),
        ("model.batch_size: [8]", "there is no field 'model.batch_size'; did you mean training.batch_size?"),
        ("model.learning_rat: [0.1]", "did you mean training.learning_rate?"),
        ("training.lr: [0.1]", "there is no field 'training.lr'; expected one of model."),
        ("model.dropout: [0.1, 0.2], model.head: [[], [8]]", "model.dropout: it has no effect where model.head is []"),
        ("training.rotation_degrees: [0, 5]", "it has no effect on cached features"),
        ("training.backbone_rate: [0.1, 1]", "it has no effect on a frozen backbone"),
        ("model.weights: [imagenet, random]", "model.weights can't be searched: make a study of each"),
        ("model.pooling: [max, 5]", "model.pooling: 5: expected texts, each listed"),
        ("model.head: [8]", "model.head: 8: expected lists of whole numbers, each listed"),
        ("model.head: [[8], [0]]", "model.head.0 = 0: expected at least 1"),
        ("model.head: [[8], [wide]]", "model.head.0 = 'wide': expected a whole number"),
        ("training.class_weights: [none, true]", "training.class_weights: true: expected texts"),
        ("training.learning_rate: [0.1, 0.10]", "training.learning_rate: a value appears twice"),
    ],
)
def test_a_search_over_what_can_not_be_is_one_line(study: str, said: str) -> None:
    with pytest.raises(BadStudy) as caught:
        study_of(f"{{name: a, search: {{kind: grid, parameters: {{{study}}}}}}}")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_rule_of_the_whole_study_is_kept_by_every_searched_value() -> None:
    """head_epochs must be fewer than epochs: a matter of two fields."""
    with pytest.raises(
        BadStudy, match=r"search\.parameters\.training\.head_epochs = 30: they are the first of training"
    ):
        study_of(
            "{name: a, model: {trainable: true}, training: {epochs: 20}, "
            "search: {kind: grid, parameters: {training.head_epochs: [5, 30]}}}"
        )


def test_head_flips_and_words_are_searched_together() -> None:
    study = study_of(
        "{name: a, search: {kind: grid, parameters: {model.head: [[8], [16, 8]], training.flips: [[], [vertical]], "
        "model.objective: [onehot, masked]}}}"
    )
    trials = study.trials()
    assert len(trials) == 8
    assert trials[0] == {"head": "8", "flips": "none", "objective": "onehot"}
    last = study.with_hyperparameters(trials[-1])
    assert (last.model.head, last.training.flips, last.model.objective) == ((16, 8), ("vertical",), "masked")
