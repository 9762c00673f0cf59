"""What a study costs, counted in floating-point operations from its model's shape; no model is built."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rustk.planning.search.base import Hyperparameters
from rustk.planning.sections import WEIGHTLESS
from rustk.planning.study import Study

# A backward pass costs about twice the forward one: a product for the inputs and one for the weights.
_TRAIN_FACTOR = 3
# The cache of features holds every image as it is and flipped each way, whichever flips a study asks for.
_CACHED_FLIPS = 4


@dataclass(frozen=True)
class BackboneCost:
    """Of one image: multiply-adds of a forward pass, and how many features pooling (or flattening) leaves.

    blocks: how many the backbone has, for fine-tuning; None where that is not known.
    """

    multiply_adds: float
    features: int
    blocks: int | None = None


@dataclass(frozen=True)
class Cost:
    """Floating-point operations (a multiply-add counts as two), and backbone forward passes of single images."""

    feature_forwards: int
    feature_flops: float
    training_flops: float
    is_complete: bool  # False where the architecture is the user's own and only the head was counted

    @property
    def flops(self) -> float:
        return self.feature_flops + self.training_flops

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "flops": self.flops}

    def sentence(self) -> str:
        """In words, with the time it would take at a stated rate."""
        hours = self.flops / 1e11 / 3600
        text = f"{self.flops / 1e12:.3g} TFLOP ({hours:.2g} h at 100 GFLOP/s, two fast CPU cores)"
        if self.feature_forwards:
            text += f", of which {self.feature_forwards} forward passes for features, once"
        return text if self.is_complete else text + "; without your own backbone, whose cost is not known"


def estimate_cost(study: Study, *, trials: int, images: int, outputs: int, backbone: BackboneCost | None) -> Cost:
    """The cost of all folds of `trials` trials on `images` develop images, with a head of `outputs` values.

    backbone: what one image costs; None where it is the user's own and its cost is not known. Of fine-tuning, all
    blocks of a backbone are taken to cost the same.
    """
    forward = 2.0 * backbone.multiply_adds if backbone else 0.0
    widths = [backbone.features if backbone else 0, *study.model.head, outputs]
    head = 2.0 * sum(first * second for first, second in itertools.pairwise(widths))

    epochs = study.training.epochs
    train_passes = trials * epochs * images * (study.folds.k - 1)
    validation_passes = trials * epochs * images
    model, options = study.model, study.training
    is_cached = options.features == "cached" and not options.alters_images
    # What all epochs, or only the first ones, train is the head.
    of_head = options.head_epochs / epochs if model.trainable else 1.0
    # A backbone to be trained that is drawn anew for each training has no features that trainings could share.
    is_cached = is_cached and not (model.trainable and model.weights in WEIGHTLESS)
    by_features = of_head if is_cached else 0.0
    forwards = images * _CACHED_FLIPS if by_features else 0
    through = forward * (1.0 - by_features)
    # A frozen backbone runs forward only; a trained one backward too, as far down as it is trained.
    trained = float(bool(model.trainable))
    if not isinstance(model.trainable, bool) and backbone and backbone.blocks:
        trained = model.trainable / backbone.blocks
    backward = forward * (1.0 - of_head) * (_TRAIN_FACTOR - 1) * trained
    training = train_passes * (_TRAIN_FACTOR * head + through + backward) + validation_passes * (head + through)
    return Cost(forwards, forwards * forward, training, backbone is not None)


# Hyperparameters that decide how much there is to compute.
_COSTLY = ("architecture", "pooling", "head", "objective", "flips")


def estimate_trials_cost(
    study: Study,
    trials: Sequence[Hyperparameters],
    *,
    all_trials: int,
    images: int,
    outputs_of: Callable[[Study], int],
    backbone_of: Callable[[Study], BackboneCost | None],
) -> Cost:
    """The cost of all folds of a study's trials, which may differ in backbone and head.

    all_trials: how many there will be, where a search has asked for some of them only; the others are taken to cost
    as much. outputs_of, backbone_of: how many values a trial's head ends in, and what its backbone costs on one image.
    """
    counts: dict[tuple[Any, ...], int] = {}
    named = [name for name in _COSTLY if name in trials[0]]
    for trial in trials:
        key = tuple(trial[name] for name in named)
        counts[key] = counts.get(key, 0) + 1
    forwards: dict[tuple[str, str], tuple[int, float]] = {}
    training, is_complete = 0.0, True
    for key, count in counts.items():
        of_trial = study.with_hyperparameters(dict(zip(named, key, strict=True)))
        backbone = backbone_of(of_trial)
        cost = estimate_cost(of_trial, trials=count, images=images, outputs=outputs_of(of_trial), backbone=backbone)
        made_by = (of_trial.model.architecture, of_trial.model.pooling)
        forwards[made_by] = max(forwards.get(made_by, (0, 0.0)), (cost.feature_forwards, cost.feature_flops))
        training += cost.training_flops
        is_complete = is_complete and cost.is_complete
    feature_forwards = sum(count for count, _ in forwards.values())
    feature_flops = sum(flops for _, flops in forwards.values())
    return Cost(feature_forwards, feature_flops, training * (all_trials / len(trials)), is_complete)


@dataclass(frozen=True)
class Device:
    """What a worker trains on, to guess how long: sustained operations a second, and what a step, the end of an epoch
    (validation and its metrics) and a fold (its model is built, its results are written) take besides."""

    flops_per_second: float
    step_seconds: float
    epoch_seconds: float
    fold_seconds: float


# A GPU of a data centre's smaller kind, and two CPU cores. Batches are planned by these: wrong by a factor of two, they
# are twice as long or as short as meant, which is no harm.
GPU = Device(5e12, 0.003, 0.01, 0.15)
CPU = Device(1e11, 0.005, 0.005, 0.1)


def expected_fold_seconds(
    study: Study,
    trials: Sequence[Hyperparameters],
    *,
    images: int,
    outputs_of: Callable[[Study], int],
    backbone_of: Callable[[Study], BackboneCost | None],
    device: Device,
) -> float | None:
    """How long a fold of these trials may train on `device`, on average; None where a backbone's cost is not known.

    images: of the develop split. outputs_of, backbone_of: as for `estimate_trials_cost`. Starting a worker and
    computing features are left out.
    """
    cost = estimate_trials_cost(
        study, trials, all_trials=len(trials), images=images, outputs_of=outputs_of, backbone_of=backbone_of
    )
    if not cost.is_complete:
        return None
    trained = images * (study.folds.k - 1) / study.folds.k
    sizes = [int(trial.get("batch_size", study.training.batch_size)) for trial in trials]
    steps = study.training.epochs * sum(math.ceil(trained / size) for size in sizes) / len(sizes)
    flops = cost.training_flops / len(trials) / study.folds.k
    besides = study.training.epochs * device.epoch_seconds + device.fold_seconds
    return flops / device.flops_per_second + steps * device.step_seconds + besides
