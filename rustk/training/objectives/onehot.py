"""The thesis's: a sigmoid for each label, and binary cross-entropy. An unscored site's labels are all to be 0."""

from rustk.training.objectives import base


class Objective(base.Objective):
    """As Keras computes `binary_crossentropy`, from logits: the mean over labels."""

    @property
    def outputs(self) -> int:
        return len(self.instrument.labels)

    def loss(self, labels: base.Tensor, logits: base.Tensor) -> base.Tensor:
        import keras

        return keras.losses.binary_crossentropy(labels, logits, from_logits=True)

    def probabilities(self, logits: base.Tensor) -> base.Tensor:
        import keras

        return keras.ops.sigmoid(logits)
