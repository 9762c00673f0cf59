import pytest

from rustk.cli.context import load_study
from rustk.planning.cost import BackboneCost, estimate_cost

# Of the thesis's images of 299 by 299 pixels: Keras's InceptionV3 without its top.
INCEPTION = BackboneCost(multiply_adds=5.71e9, features=2048)


def test_regime2_at_full_size() -> None:
    """Four forward passes an image, and three products an epoch for each weight of the head in training."""
    cost = estimate_cost(load_study("regime2"), trials=32, images=2490, outputs=18, backbone=INCEPTION)
    assert cost.feature_forwards == 9960
    assert cost.feature_flops == pytest.approx(9960 * 2 * 5.71e9)
    head = 2 * (2048 * 1024 + 1024 * 512 + 512 * 256 + 256 * 18)
    assert cost.training_flops == pytest.approx(32 * 20 * (2490 * 5 * 3 + 2490) * head)
    assert cost.is_complete
    assert cost.as_dict()["flops"] == cost.flops == cost.feature_flops + cost.training_flops


def test_the_head_ends_in_the_instrument_s_labels() -> None:
    def flops(outputs: int) -> float:
        study = load_study("regime2")
        return estimate_cost(study, trials=1, images=100, outputs=outputs, backbone=INCEPTION).training_flops

    assert flops(5) - flops(4) == pytest.approx(20 * (100 * 5 * 3 + 100) * 2 * 256)


def test_training_through_the_backbone_costs_more() -> None:
    def cost(*overrides: str) -> float:
        study = load_study("inception-imagenet", list(overrides))
        return estimate_cost(study, trials=1, images=100, outputs=18, backbone=INCEPTION).flops

    assert cost("training.features=off") > 50 * cost()
    assert cost("model.trainable=true") > 2 * cost("training.features=off")


def test_an_unknown_backbone_is_said_to_be_left_out() -> None:
    study = load_study("inception-imagenet", ["model.architecture=mine.models:build", "model.weights=random"])
    cost = estimate_cost(study, trials=1, images=100, outputs=18, backbone=None)
    assert not cost.is_complete
    assert "whose cost is not known" in cost.sentence()
