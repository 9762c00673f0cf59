import pytest

from rustk.cli.context import load_study
from rustk.planning.cost import estimate_cost
from rustk.planning.search import draw_trials


def test_regime2_at_full_size() -> None:
    """Four forward passes an image, and three products an epoch for each weight of the head in training."""
    study = load_study("regime2")
    cost = estimate_cost(study, draw_trials(study), 2490, [299, 299, 1])
    assert cost.feature_forwards == 9960
    head = 2 * (2048 * 1024 + 1024 * 512 + 512 * 256 + 256 * 18)
    assert cost.training_flops == pytest.approx(32 * 20 * (2490 * 5 * 3 + 2490) * head)
    assert cost.is_complete


def test_training_through_the_backbone_costs_more() -> None:
    study = load_study("inception-imagenet")
    cached = estimate_cost(study, [{}], 100, [299, 299, 1])
    off = estimate_cost(load_study("inception-imagenet", ["training.features=off"]), [{}], 100, [299, 299, 1])
    assert off.feature_forwards == 0
    assert off.flops > 50 * cached.flops


def test_an_unknown_backbone_is_said_to_be_left_out() -> None:
    study = load_study("inception-imagenet", ["model.architecture=mine.models:build", "model.weights=random"])
    assert "whose cost is not known" in estimate_cost(study, [{}], 100, [64, 64, 1]).sentence()
