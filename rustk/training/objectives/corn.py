"""CORN: a site's scores as a chain of questions, is it above the first, and if so above the second, and so on.

X. Shi, W. Cao and S. Raschka, Deep neural networks for rank-consistent ordinal regression based on conditional
probabilities, arXiv:2111.08851 (2021): logit j says how probable a score above the j-th is, given one above the one
before; it learns from the images of which that is given. Each question that an image answers weighs the same.
"""

from rustk.training.objectives import base


class Objective(base.BySite):
    """Scored sites alone are learnt from, as in `masked`."""

    def site_outputs(self, scores: int) -> int:
        return scores - 1

    def site_loss(self, labels: base.Tensor, logits: base.Tensor, smoothing: float) -> base.Tensor:
        from keras import ops

        at_least = ops.flip(ops.cumsum(ops.flip(labels, axis=-1), axis=-1), axis=-1)  # [batch, scores]
        asked, above = at_least[:, :-1], at_least[:, 1:]
        answers = above * (1.0 - smoothing) + smoothing / 2
        losses = ops.binary_crossentropy(answers, logits, from_logits=True)  # [batch, scores - 1]
        return ops.sum(asked * losses, axis=-1) / logits.shape[-1]

    def site_probabilities(self, logits: base.Tensor, scores: int) -> base.Tensor:
        from keras import ops

        given = ops.sigmoid(logits)
        above = ops.ones_like(given[:, :1])
        shares = []
        for question in range(scores - 1):
            further = above * given[:, question : question + 1]
            shares.append(above - further)
            above = further
        return ops.concatenate([*shares, above], axis=-1)
