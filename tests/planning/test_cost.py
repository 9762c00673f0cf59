import pytest

from rustk.cli.context import load_study
from rustk.planning.cost import (
    CPU,
    GPU,
    BackboneCost,
    Cost,
    Device,
    estimate_cost,
    estimate_trials_cost,
    expected_fold_seconds,
)

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


def test_fine_tuning_costs_what_it_trains() -> None:
    """Eleven blocks that cost the same; epochs of the head alone go by features, or through the backbone forward."""

    def flops(*overrides: str, epochs: int = 10) -> float:
        backbone = BackboneCost(multiply_adds=1e9, features=0, blocks=11)
        study = load_study("inception-imagenet", ["folds.k=2", f"training.epochs={epochs}", *overrides])
        return estimate_cost(study, trials=1, images=100, outputs=0, backbone=backbone).flops

    def head(epochs: int) -> float:
        return flops(epochs=epochs) - 400 * 2e9

    passes = 10 * 100 * 2e9  # of ten epochs forward
    fine = "model.trainable=3"
    assert flops(fine) == pytest.approx(head(10) + passes * (1 + 2 * 3 / 11) + passes)
    first = "training.head_epochs=4"
    assert flops(fine, first) == pytest.approx(head(10) + 0.6 * (passes * (1 + 2 * 3 / 11) + passes) + 400 * 2e9)
    through = flops(fine, first, "training.contrast=0.1")
    assert through == pytest.approx(head(10) + 2 * passes + 0.6 * passes * 2 * 3 / 11)
    assert flops("model.trainable=11") == flops("model.trainable=true")


def test_an_unknown_backbone_is_said_to_be_left_out() -> None:
    study = load_study("inception-imagenet", ["model.architecture=mine.models:build", "model.weights=random"])
    cost = estimate_cost(study, trials=1, images=100, outputs=18, backbone=None)
    assert not cost.is_complete
    assert "whose cost is not known" in cost.sentence()


def test_trials_of_other_heads_and_backbones_cost_what_each_costs_alone() -> None:
    """Features are made once for each backbone and pooling, whatever the heads."""
    search = (
        "search={kind: grid, parameters: {model.head: [[8], [64, 8]], model.architecture: [lenet, inception_v3], "
        "training.epsilon: [1, 2, 3]}}"
    )
    study = load_study("inception-imagenet", [search])
    backbones = {"lenet": BackboneCost(1e6, 100), "inception_v3": INCEPTION}
    on = {"images": 100}
    together = estimate_trials_cost(
        study,
        study.trials(),
        all_trials=24,
        outputs_of=lambda one: 18,
        backbone_of=lambda one: backbones[one.model.architecture],
        **on,
    )
    alone = [
        estimate_cost(one, trials=2, outputs=18, backbone=backbones[one.model.architecture], **on)
        for one in map(study.with_hyperparameters, study.trials())
    ]
    assert together.training_flops == pytest.approx(sum(cost.training_flops for cost in alone))
    assert together.feature_forwards == 2 * 400
    assert together.feature_flops == pytest.approx(400 * 2 * (1e6 + INCEPTION.multiply_adds))


def test_trials_that_differ_in_rates_alone_cost_what_the_study_does() -> None:
    study = load_study("regime2")
    on = {"images": 2490}
    together = estimate_trials_cost(
        study, study.trials(), all_trials=32, outputs_of=lambda one: 18, backbone_of=lambda one: INCEPTION, **on
    )
    assert together == estimate_cost(study, trials=32, outputs=18, backbone=INCEPTION, **on)


def test_a_fold_takes_its_operations_and_its_steps() -> None:
    """Of regime2's first trial: k - 1 of 6 folds in batches of 100, 20 times; epochs and the fold take time besides."""
    study = load_study("regime2", ["training.batch_size=50"])
    cost = estimate_cost(study, trials=1, images=2490, outputs=18, backbone=INCEPTION)
    known = {"outputs_of": lambda one: 18, "backbone_of": lambda one: INCEPTION}
    on = {"images": 2490, "device": Device(1e9, 2.0, 0.3, 0.5), **known}
    seconds = expected_fold_seconds(study, [{"batch_size": 100}], **on)
    assert seconds == pytest.approx(cost.training_flops / 6 / 1e9 + 20 * 21 * 2.0 + 20 * 0.3 + 0.5)
    both = expected_fold_seconds(study, [{"batch_size": 100}, {"batch_size": 50}], **on)
    assert both == pytest.approx(cost.training_flops / 6 / 1e9 + 20 * (21 + 42) / 2 * 2.0 + 20 * 0.3 + 0.5)


def test_folds_of_other_backbones_take_the_mean_of_each() -> None:
    search = "search={kind: grid, parameters: {model.architecture: [lenet, inception_v3]}}"
    study = load_study("inception-imagenet", [search, "training.features=off"])
    backbones = {"lenet": BackboneCost(1e6, 100), "inception_v3": INCEPTION}

    def seconds(*trials: dict[str, str]) -> float:
        found = expected_fold_seconds(
            study,
            trials,
            images=100,
            outputs_of=lambda one: 18,
            backbone_of=lambda one: backbones[one.model.architecture],
            device=CPU,
        )
        assert found is not None
        return found

    lenet, inception = study.trials()
    assert seconds(inception) > 10 * seconds(lenet)
    assert seconds(lenet, inception) == pytest.approx((seconds(lenet) + seconds(inception)) / 2)


def test_a_gpu_is_quicker_and_what_is_not_known_stays_so() -> None:
    study = load_study("regime2")

    def seconds(backbone: BackboneCost | None, device: Device) -> float | None:
        return expected_fold_seconds(
            study, [{}], images=2490, outputs_of=lambda one: 18, backbone_of=lambda one: backbone, device=device
        )

    quick, slow = seconds(INCEPTION, GPU), seconds(INCEPTION, CPU)
    assert quick is not None
    assert slow is not None
    assert 0 < quick < slow
    assert seconds(None, GPU) is None


def test_the_cache_holds_all_flips_whatever_a_study_asks_for() -> None:
    def forwards(flips: str) -> int:
        study = load_study("inception-imagenet", [f"training.flips={flips}"])
        return estimate_cost(study, trials=1, images=100, outputs=18, backbone=INCEPTION).feature_forwards

    assert forwards("[]") == forwards("[horizontal]") == 400


def test_head_epochs_before_drawn_weights_are_trained_go_through_the_backbone() -> None:
    def cost(weights: str, features: str) -> Cost:
        options = ["model.trainable=true", f"model.weights={weights}", "training.head_epochs=5"]
        study = load_study("inception-imagenet", [*options, f"training.features={features}"])
        return estimate_cost(study, trials=1, images=100, outputs=18, backbone=INCEPTION)

    assert cost("random", "cached") == cost("random", "off")
    assert cost("random", "cached").feature_forwards == 0
    assert cost("imagenet", "cached").feature_forwards == 400
