"""What a study costs, counted in floating-point operations from its model's shape; no model is built."""

import itertools
from dataclasses import asdict, dataclass
from typing import Any

from rustk.planning.study import Study

# A backward pass costs about twice the forward one: a product for the inputs and one for the weights.
_TRAIN_FACTOR = 3


@dataclass(frozen=True)
class BackboneCost:
    """Of one image: multiply-adds of a forward pass, and how many features pooling (or flattening) leaves."""

    multiply_adds: float
    features: int


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

    backbone: what one image costs; None where it is the user's own and its cost is not known.
    """
    forward = 2.0 * backbone.multiply_adds if backbone else 0.0
    widths = [backbone.features if backbone else 0, *study.model.head, outputs]
    head = 2.0 * sum(first * second for first, second in itertools.pairwise(widths))

    epochs = study.training.epochs
    train_passes = trials * epochs * images * (study.folds.k - 1)
    validation_passes = trials * epochs * images
    is_cached = not study.model.trainable and study.training.features == "cached"
    forwards = images * 2 ** len(study.training.flips) if is_cached else 0
    # A frozen backbone runs forward only; a trained one backward too.
    through = 0.0 if is_cached else forward
    backward = _TRAIN_FACTOR if study.model.trainable else 1
    training = train_passes * (_TRAIN_FACTOR * head + backward * through) + validation_passes * (head + through)
    return Cost(forwards, forwards * forward, training, backbone is not None)
