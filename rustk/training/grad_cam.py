"""Grad-CAM: which places of an image a site's score comes from, as far as the backbone's last feature map tells.

R. Selvaraju et al., Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization, ICCV 2017: each
channel k of the feature map A weighs as much as the mean over its places of the gradient of a number y,

    weight_k = mean over places of dy/dA_k,    map = relu(sum over k of weight_k A_k)

The feature map is what the backbone gives, so that the gradient passes pooling and head alone. Here y is the log-odds
of the site's given score against the site's other scores, log p_s - log(sum of p_t, t not s): of every objective that
gives probabilities it is what the paper's class score before a softmax is, it does not flatten out where the model is
sure, and it explains the score that is printed. (The gradient of the expected score would explain why the score is not
lower, for whatever score, and fade where the model is sure.)

Beside it the same of a head that was trained on shuffled scores (J. Adebayo et al., Sanity Checks for Saliency Maps,
NeurIPS 2018): a map that looks the same shows what stands out in the image, not what the model learnt of scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy.stats import spearmanr

from rustk.training.objectives import Objective
from rustk.training.sources import to_inputs

Map = npt.NDArray[np.float32]

# Below any probability that float32 can be trusted with; a logarithm of 0 would have no gradient.
_LEAST = 1e-30


@dataclass(frozen=True)
class SiteMap:
    """The map of one site of one image, [rows, columns] of the feature map, not negative; the control's, if any."""

    score: int
    map: Map
    control: Map | None = None

    @property
    def agreement(self) -> float | None:
        """Spearman's rank correlation of map and control over their places; None where one is level, or not there."""
        if self.control is None or np.ptp(self.map) == 0 or np.ptp(self.control) == 0:
            return None
        return float(spearmanr(self.map.ravel(), self.control.ravel()).statistic)


class Explainer:
    """Maps of one model: `model` as `models.join` made it, whose layers `pool` and `head` follow the feature map.

    shuffled_head: one of the same inputs and outputs, for the control.
    """

    def __init__(self, model: keras.Model, objective: Objective, shuffled_head: keras.Model | None = None) -> None:
        self._pool = model.get_layer("pool")
        self._head = model.get_layer("head")
        self._shuffled_head = shuffled_head
        self._objective = objective
        self._backbone = keras.Model(model.input, self._pool.input)

    def explain(self, images: npt.NDArray[np.uint8], scores: Sequence[Mapping[str, int]]) -> list[dict[str, SiteMap]]:
        """The map of each site for the score that `scores` gives it, image by image.

        images: grey uint8 [images, height, width]. Raises KeyError for a site or a score that does not exist.
        """
        return [self._explain_one(image, of_image) for image, of_image in zip(images, scores, strict=True)]

    def _explain_one(self, image: npt.NDArray[np.uint8], scores: Mapping[str, int]) -> dict[str, SiteMap]:
        features = self._backbone(to_inputs(tf.constant(image[None])), training=False)  # [1, rows, columns, channels]
        maps = self._maps(self._head, features, scores)
        controls: Sequence[Map | None] = [None] * len(maps)
        if self._shuffled_head is not None:
            controls = self._maps(self._shuffled_head, features, scores)
        return {
            site: SiteMap(score, found, control)
            for (site, score), found, control in zip(scores.items(), maps, controls, strict=True)
        }

    def _maps(self, head: keras.Model, features: tf.Tensor, scores: Mapping[str, int]) -> list[Map]:
        instrument = self._objective.instrument
        columns = dict(zip(instrument.site_names, instrument.site_columns, strict=True))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(features)
            logits = head(self._pool(features), training=False)
            probabilities = tf.cast(self._objective.probabilities(logits), tf.float32)
            odds = [
                log_odds(probabilities[0, columns[site]], instrument.site(site).scores.index(score))
                for site, score in scores.items()
            ]
        return [grad_cam(features[0], tape.gradient(value, features)[0]) for value in odds]


def log_odds(probabilities: tf.Tensor, place: int) -> tf.Tensor:
    """Of the score at `place` among a site's `probabilities` [scores], against all the others together.

    The sum of the others is taken, not 1 less the one: it is exact where the model is sure, and labels whose
    probabilities do not sum to 1 are read as if they did.
    """
    others = tf.concat([probabilities[:place], probabilities[place + 1 :]], axis=0)
    return tf.math.log(probabilities[place] + _LEAST) - tf.math.log(tf.reduce_sum(others) + _LEAST)


def grad_cam(features: tf.Tensor, gradient: tf.Tensor) -> Map:
    """The map of a feature map and a gradient with respect to it, both [rows, columns, channels]."""
    weights = tf.reduce_mean(tf.cast(gradient, tf.float32), axis=(0, 1))  # [channels]
    found: Map = tf.nn.relu(tf.linalg.matvec(tf.cast(features, tf.float32), weights)).numpy()
    return found


def enlarge(found: Map, shape: Sequence[int]) -> Map:
    """A map over an image of `shape` (height, width), bilinearly, its greatest value 1; all 0 where nothing spoke for
    the score."""
    large: Map = tf.image.resize(found[..., None], shape[:2], "bilinear").numpy()[..., 0]
    greatest = large.max()
    return large / greatest if greatest > 0 else large
