"""What was run, in short: what all trials share as they had it, and what was searched."""

from dataclasses import replace
from typing import Any

from rustk.report.page.provenance import setting
from tests.report.planted import CLEAN, Plan, aggregated

QUICK = replace(CLEAN, patients=40, epochs=1, folds=2)
ALONE = {
    "learning_rate": 0.5,
    "batch_size": 9,
    "objective": "corn",
    "label_smoothing": 0.25,
    "head": "12",
    "flips": "vertical",
}


def told(plan: Plan) -> dict[str, str]:
    return {fact.name: fact.values[0] for fact in setting(aggregated(plan).results)}


def grid(**values: list[Any]) -> tuple[tuple[str, Any], ...]:
    """The search of a study: fields of its training and model, with the values that each takes."""
    sections = {"objective": "model", "head": "model", "architecture": "model"}
    return (("parameters", {f"{sections.get(name, 'training')}.{name}": listed for name, listed in values.items()}),)


def test_a_single_trial_has_its_own_values_and_not_the_study_s() -> None:
    search = grid(
        learning_rate=[0.5],
        batch_size=[9],
        objective=["corn"],
        label_smoothing=[0.25],
        head=[[12]],
        flips=[["vertical"]],
    )
    facts = told(replace(QUICK, trials=(ALONE,), search=search))
    shown = {name: facts[name] for name in ("Learning rate", "Batch size", "Objective", "Head", "Flips")}
    assert shown == {
        "Learning rate": "0.5",
        "Batch size": "9",
        "Objective": "corn",
        "Head": "12",
        "Flips": "vertical",
    }
    assert facts["Searched"] == "learning rate, batch size, objective, label smoothing, head, flips"


def test_what_trials_differ_in_is_given_of_none_of_them() -> None:
    trials = tuple({"architecture": name, "learning_rate": 0.5} for name in ("lenet", "resnet50"))
    search = grid(architecture=["lenet", "resnet50"], learning_rate=[0.5])
    facts = told(replace(QUICK, trials=trials, search=search))
    assert "Model" not in facts
    assert facts["Learning rate"] == "0.5"
    assert facts["Searched"] == "architecture, learning rate"


def test_a_column_that_no_search_names_is_fixed() -> None:
    facts = told(replace(QUICK, trials=({"batch_size": 9},)))
    assert facts["Searched"] == "nothing"
    assert facts["Batch size"] == "9"


def test_a_batch_size_that_was_not_in_effect_is_told_with_what_was() -> None:
    plan = replace(QUICK, trials=({"batch_size": 1000, "learning_rate": 0.5},))
    results = aggregated(plan).results
    sizes = sorted({metadata.in_effect["batch_size"] for metadata in results.fold_metadata.values()})
    assert len(sizes) == 2
    assert told(plan)["Batch size"] == f"1000 ({sizes[0]} and {sizes[1]} in effect)"
    assert told(plan)["Learning rate"] == "0.5"
