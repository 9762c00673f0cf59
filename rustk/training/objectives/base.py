"""What every objective has in common.

A kind is one file of this folder that defines `class Objective`, a subclass of this module's. It computes with
keras.ops alone, imported in its methods: `outputs` is read where Keras is not installed.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rustk.vocabulary.instrument import Instrument

if TYPE_CHECKING:
    from keras import KerasTensor

FloatArray = npt.NDArray[np.float32]
Tensor = Any  # of Keras's backend; `probabilities` takes symbolic ones too


class Objective(ABC):
    """From the head's logits to a loss, and to a probability for each label. L: the instrument's labels."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument

    @property
    @abstractmethod
    def outputs(self) -> int:
        """How many values the head ends in."""

    @abstractmethod
    def loss(self, labels: Tensor, logits: Tensor, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
        """The loss of each image, [batch]. labels: zeros and ones, float32 [batch, L]; logits: [batch, outputs].

        smoothing: which share of a target is spread evenly over all its values. weights: what an image weighs whose
        label is 0, and one whose label is 1, float32 [2, L]. Both are for training: validation goes without.
        """

    @abstractmethod
    def probabilities(self, logits: "Tensor | KerasTensor") -> Any:
        """A probability for each label, [batch, L], of logits [batch, outputs]."""

    def balanced_weights(self, labels: FloatArray) -> FloatArray:
        """`weights` under which both values of each label weigh the same in all, as scikit-learn's "balanced".

        labels: of the training images, [images, L]. A value that none of them has weighs 1.
        """
        ones = labels.sum(axis=0)
        return _shares(len(labels) / 2, np.stack([len(labels) - ones, ones]))


class BySite(Objective):
    """An objective that gives each site logits of its own, and learns from the sites that are scored alone.

    The loss of an image is the mean of its scored sites' losses (0 where none is scored) plus, where the instrument has
    several views, the cross-entropy of the view, a softmax with outputs of its own: it weighs nothing in the scores'
    outputs, and shares only the layers before them. A site's probabilities sum to 1 whether an image shows it or not:
    they say what its score would be *if* it has one.
    """

    @abstractmethod
    def site_outputs(self, scores: int) -> int:
        """How many logits a site with so many scores has."""

    @abstractmethod
    def site_loss(self, labels: Tensor, logits: Tensor, smoothing: float) -> Tensor:
        """The loss of one site, [batch], of its labels [batch, scores], one of which is 1, and its logits."""

    @abstractmethod
    def site_probabilities(self, logits: Tensor, scores: int) -> Tensor:
        """The probabilities of one site's scores, [batch, scores], of its logits."""

    @property
    def outputs(self) -> int:
        return sum(self._widths)

    def loss(self, labels: Tensor, logits: Tensor, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
        """The views' part is neither smoothed nor weighted."""
        from keras import ops

        views, *sites = self._cut(logits)
        total = counted = 0.0
        for columns, part in zip(self.instrument.site_columns, sites, strict=True):
            of_site = labels[:, columns]
            scored = ops.sum(of_site, axis=-1)  # [batch], 0 or 1
            weight = scored if weights is None else ops.sum(of_site * weights[1, columns], axis=-1)
            total += weight * self.site_loss(of_site, part, smoothing)
            counted += scored
        loss = total / ops.maximum(counted, 1.0)
        if self.instrument.view_labels:
            loss += ops.categorical_crossentropy(labels[:, : len(self.instrument.view_labels)], views, from_logits=True)
        return loss

    def probabilities(self, logits: Tensor) -> Tensor:
        from keras import ops

        views, *sites = self._cut(logits)
        parts = [ops.softmax(views, axis=-1)] if self.instrument.view_labels else []
        parts += [
            self.site_probabilities(part, len(site.scores))
            for site, part in zip(self.instrument.sites, sites, strict=True)
        ]
        return ops.concatenate(parts, axis=-1)

    def balanced_weights(self, labels: FloatArray) -> FloatArray:
        """Weights under which all scores of a site weigh the same in all, and its scored images 1 on average."""
        weights = np.ones((2, labels.shape[1]), np.float32)
        for columns in self.instrument.site_columns:
            counts = labels[:, columns].sum(axis=0)
            weights[1, columns] = _shares(counts.sum() / len(counts), counts)
        return weights

    @property
    def _widths(self) -> Sequence[int]:
        """Of the views' logits, then of each site's."""
        return [
            len(self.instrument.view_labels),
            *(self.site_outputs(len(site.scores)) for site in self.instrument.sites),
        ]

    def _cut(self, logits: Tensor) -> list[Tensor]:
        parts, start = [], 0
        for width in self._widths:
            parts.append(logits[:, start : start + width])
            start += width
        return parts


def smoothed(targets: Tensor, smoothing: float) -> Tensor:
    """Targets [batch, scores] with that share of each row spread evenly over all scores."""
    return targets * (1.0 - smoothing) + smoothing / targets.shape[-1] if smoothing else targets


def _shares(total: float, counts: FloatArray) -> FloatArray:
    return np.divide(total, counts, out=np.ones(counts.shape, np.float32), where=counts > 0)
