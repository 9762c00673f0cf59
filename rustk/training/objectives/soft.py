"""A softmax for each site on soft ordinal targets: a score's neighbours are less wrong than those far away.

The target of the k-th of n scores (k from 0) is the binomial distribution of n - 1 draws with the probability
(k + 1/2) / n: its mode is k, and it is narrower towards the ends of the scale. Source: the binomial model of ordinal
classes of J. Pinto da Costa, H. Alonso and J. Cardoso, The unimodal model for the classification of ordinal data,
Neural Networks 21 (2008).
"""

import math

from rustk.training.objectives import base


class Objective(base.BySite):
    """As `masked`, with those targets."""

    def site_outputs(self, scores: int) -> int:
        return scores

    def site_loss(self, labels: base.Tensor, logits: base.Tensor, smoothing: float) -> base.Tensor:
        import keras

        targets = keras.ops.matmul(labels, keras.ops.convert_to_tensor(soft_targets(logits.shape[-1]), "float32"))
        return keras.ops.categorical_crossentropy(base.smoothed(targets, smoothing), logits, from_logits=True)

    def site_probabilities(self, logits: base.Tensor, scores: int) -> base.Tensor:
        import keras

        return keras.ops.softmax(logits, axis=-1)


def soft_targets(scores: int) -> list[list[float]]:
    """[scores, scores]: row k is the target of the k-th score; each sums to 1."""
    draws = scores - 1
    chances = [(k + 0.5) / scores for k in range(scores)]
    return [[math.comb(draws, j) * p**j * (1 - p) ** (draws - j) for j in range(scores)] for p in chances]
