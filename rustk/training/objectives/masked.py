"""A softmax for each site, and cross-entropy over the scored sites alone."""

from rustk.training.objectives import base


class Objective(base.BySite):
    """What is not scored is not learnt from, so that knowing the view earns nothing in the scores."""

    def site_outputs(self, scores: int) -> int:
        return scores

    def site_loss(self, labels: base.Tensor, logits: base.Tensor, smoothing: float) -> base.Tensor:
        import keras

        return keras.ops.categorical_crossentropy(base.smoothed(labels, smoothing), logits, from_logits=True)

    def site_probabilities(self, logits: base.Tensor, scores: int) -> base.Tensor:
        import keras

        return keras.ops.softmax(logits, axis=-1)
