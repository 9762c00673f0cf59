"""What a study costs, counted in floating-point operations from its model's shape; no model is built."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rustk.planning.search import Hyperparameters
from rustk.planning.study import Study
from rustk.vocabulary.labels import LABELS

# Multiply-adds of one forward pass at 299x299, and features after global pooling (Szegedy et al. 2016, Table 1;
# LeNet's counted from its convolutions). Convolutions scale with the image's area.
_MULTIPLY_ADDS_AT_299 = {"inception_v3": 5.7e9, "lenet": 90.7e6}
_FEATURES = {"inception_v3": 2048}
_LENET_CHANNELS = 16
# A backward pass costs about twice the forward one: a product for the inputs and one for the weights.
_TRAIN_FACTOR = 3


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


def estimate_cost(study: Study, trials: Sequence[Hyperparameters], images: int, image_shape: Sequence[int]) -> Cost:
    """The cost of all folds of all trials on `images` develop images of `image_shape` (height, width, ...)."""
    area = image_shape[0] * image_shape[1]
    architecture = study.model.architecture
    backbone = 2 * _MULTIPLY_ADDS_AT_299.get(architecture, 0.0) * area / 299**2
    features = _FEATURES.get(architecture, 0)
    if architecture == "lenet":
        features = _LENET_CHANNELS * _lenet_side(image_shape[0]) * _lenet_side(image_shape[1])
    widths = [features, *study.model.head, len(LABELS)]
    head = 2.0 * sum(first * second for first, second in itertools.pairwise(widths))

    epochs = study.training.epochs
    train_passes = len(trials) * epochs * images * (study.folds.k - 1)
    validation_passes = len(trials) * epochs * images
    is_cached = not study.model.trainable and study.training.features == "cached"
    forwards = images * 2 ** len(study.training.flips) if is_cached else 0
    # A frozen backbone runs forward only; a trained one backward too.
    through = 0.0 if is_cached else backbone
    backward = _TRAIN_FACTOR if study.model.trainable else 1
    training = train_passes * (_TRAIN_FACTOR * head + backward * through) + validation_passes * (head + through)
    return Cost(forwards, forwards * backbone, training, architecture in _MULTIPLY_ADDS_AT_299)


def _lenet_side(side: int) -> int:
    """A side of LeNet's last map: halved by pooling, less 4 by the valid 5x5 convolution, halved again."""
    return ((side // 2) - 4) // 2
