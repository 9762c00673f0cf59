"""A setting that the study fixes and a fold did not train with is flagged, and no other."""

from dataclasses import replace

import pytest

from rustk.report.audits.base import run_audits
from rustk.report.audits.shared_settings import audit_shared_settings, shared_settings
from tests.report.audits.contexts import context_of, flags
from tests.report.planted import CLEAN, Plan, aggregated


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "architecture",
            "lenet",
            "Architecture: the study says inception_v3, but 8 of 8 folds did not train with that",
        ),
        ("dropout", 0.0, "Dropout: the study says 0.2, but 8 of 8 folds"),
        ("flips", "vertical", "Flips: the study says horizontal, but 8 of 8 folds"),
    ],
)
def test_a_fixed_setting_that_was_not_in_effect_is_flagged(name: str, value: object, said: str) -> None:
    found = flags(replace(CLEAN, also_in_effect=((name, value),)))
    assert list(found) == [f"shared-{name}"]
    assert found[f"shared-{name}"].startswith(said)


@pytest.mark.parametrize(("images", "flagged"), [(20, False), (2000, True)])
def test_a_flip_that_no_image_happened_to_have_is_no_fault(images: int, flagged: bool) -> None:
    results = aggregated(replace(CLEAN, trials=({},), also_in_effect=(("flips", "none"),))).results
    few = {
        task: metadata.model_copy(update={"samples": {"train": images}, "hyperparameters": {"epochs": 3}})
        for task, metadata in results.fold_metadata.items()
    }
    found = audit_shared_settings(replace(results, fold_metadata=few))
    assert ("shared-flips" in {finding.key for finding in found}) == flagged


def test_a_backbone_that_was_trained_is_not_called_frozen() -> None:
    found = flags(replace(CLEAN, also_in_effect=(("backbone_rate", 1.0),)))
    assert found == {
        "shared-trainable": "Trainable: the study says that the backbone is frozen, but in 8 of 8 folds it was not."
    }


def test_what_was_checked_is_named() -> None:
    (found,) = audit_shared_settings(aggregated(CLEAN).results)
    assert found.sentence == ("Every fold trained with what the study fixes: dropout, as read back from the training.")


def test_each_fold_is_named_with_what_it_trained_with() -> None:
    plan = replace(CLEAN, trials=({},), also_in_effect=(("learning_rate", 0.5),))
    (found,) = [finding for finding in run_audits(context_of(aggregated(plan))) if finding.flagged]
    assert found.details == tuple(f"trial 0 fold {fold}: 0.5" for fold in range(4))


def test_what_is_searched_is_left_to_its_own_audit() -> None:
    assert {"learning_rate", "batch_size"}.isdisjoint(shared_settings(aggregated(CLEAN).results))
    # A column with one value is what every trial was asked for, whatever study.json says.
    asked = shared_settings(aggregated(replace(CLEAN, trials=({"dropout": 0.4}, {"dropout": 0.4}))).results)
    assert asked["dropout"] == 0.4
    assert asked["learning_rate"] == 1e-3


@pytest.mark.parametrize("plan", [replace(CLEAN, without=("metadata",)), replace(CLEAN, trials=({},))])
def test_a_run_that_says_nothing_is_not_judged(plan: Plan) -> None:
    found = audit_shared_settings(aggregated(plan).results)
    assert [finding.key for finding in found] == ([] if "metadata" in plan.without else ["shared-settings"])
