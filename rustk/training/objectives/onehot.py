"""The thesis's: a sigmoid for each label, and binary cross-entropy. An unscored site's labels are all to be 0."""

from rustk.training.objectives import base


class Objective(base.Objective):
    """As Keras computes `binary_crossentropy`, from logits: the mean over labels."""

    @property
    def outputs(self) -> int:
        return len(self.instrument.labels)

    def loss(
        self, labels: base.Tensor, logits: base.Tensor, smoothing: float = 0.0, weights: base.Tensor | None = None
    ) -> base.Tensor:
        import keras

        if weights is None:
            return keras.losses.binary_crossentropy(labels, logits, from_logits=True, label_smoothing=smoothing)
        targets = labels * (1.0 - smoothing) + smoothing / 2
        losses = keras.ops.binary_crossentropy(targets, logits, from_logits=True)
        return keras.ops.mean(losses * (labels * weights[1] + (1.0 - labels) * weights[0]), axis=-1)

    def probabilities(self, logits: base.Tensor) -> base.Tensor:
        import keras

        return keras.ops.sigmoid(logits)
