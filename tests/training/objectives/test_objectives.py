"""Objectives against plain Keras and NumPy, on scales of unequal lengths."""

import keras
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from rustk.training.objectives import find_objective
from rustk.training.objectives.soft import soft_targets
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.kinds import kinds
from tests.instruments import MRUST, ODD, SINGLE

pytestmark = pytest.mark.tensorflow

# Views a, b, c; rim 0-2; core 1, 2, 3, 5; seam 0-1.
LABELS = np.array(
    [
        ODD.encode("a", {"rim": 2}),
        ODD.encode("b", {"rim": 0, "core": 3}),
        ODD.encode("c", {"core": 5, "seam": 1}),
        ODD.encode("c", {}),
    ],
    np.float32,
)


def logits_of(outputs: int) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 2, (len(LABELS), outputs)).astype(np.float32)


def softmax(values: np.ndarray) -> np.ndarray:
    exponentials = np.exp(values - values.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def by_site(site_losses: list[np.ndarray], view_losses: np.ndarray) -> np.ndarray:
    """The mean of each image's scored sites (NaN: unscored), plus the view's loss."""
    table = np.stack(site_losses, axis=1)
    scored = np.isfinite(table)
    return np.where(scored, table, 0).sum(axis=1) / np.maximum(scored.sum(axis=1), 1) + view_losses


def cross_entropy(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """NaN where a row of targets is empty."""
    losses = -(targets * np.log(softmax(logits))).sum(axis=1)
    return np.where(targets.sum(axis=1) > 0, losses, np.nan)


@pytest.mark.parametrize("instrument", [MRUST, ODD, SINGLE], ids=lambda instrument: instrument.name)
@pytest.mark.parametrize("name", kinds("training/objectives"))
def test_every_objective_gives_a_probability_for_each_label(name: str, instrument: object) -> None:
    objective = find_objective(name, instrument)
    logits = logits_of(objective.outputs)
    probabilities = np.asarray(objective.probabilities(logits))
    assert probabilities.shape == (len(logits), len(instrument.labels))
    assert (probabilities >= 0).all()
    assert (probabilities <= 1).all()
    if name != "onehot":
        for columns in instrument.site_columns:
            np.testing.assert_allclose(probabilities[:, columns].sum(axis=1), 1, rtol=1e-5)
    symbolic = objective.probabilities(keras.KerasTensor((None, objective.outputs)))
    assert symbolic.shape == (None, len(instrument.labels))


def test_onehot_is_keras_on_sigmoids() -> None:
    objective = find_objective("onehot", ODD)
    logits = logits_of(objective.outputs)
    assert objective.outputs == len(ODD.labels)
    expected = keras.losses.binary_crossentropy(LABELS, keras.activations.sigmoid(logits))
    np.testing.assert_allclose(objective.loss(LABELS, logits), expected, rtol=1e-5)
    np.testing.assert_allclose(objective.probabilities(logits), sigmoid(logits), rtol=1e-5)


@pytest.mark.parametrize("name", ["masked", "soft"])
def test_a_softmax_a_site_learns_from_scored_sites_alone(name: str) -> None:
    objective = find_objective(name, ODD)
    logits = logits_of(objective.outputs)
    assert objective.outputs == len(ODD.labels)
    losses = []
    for columns in ODD.site_columns:
        targets = LABELS[:, columns]
        if name == "soft":
            targets = targets @ np.array(soft_targets(targets.shape[1]), np.float32)
        losses.append(cross_entropy(targets, logits[:, columns]))
    expected = by_site(losses, cross_entropy(LABELS[:, :3], logits[:, :3]))
    np.testing.assert_allclose(objective.loss(LABELS, logits), expected, rtol=1e-4)
    shares = np.concatenate([softmax(logits[:, columns]) for columns in (slice(0, 3), *ODD.site_columns)], axis=1)
    np.testing.assert_allclose(objective.probabilities(logits), shares, rtol=1e-4)


def test_soft_targets_have_their_mode_at_the_score_and_fall_off_from_it() -> None:
    targets = np.array(soft_targets(4))
    np.testing.assert_allclose(targets.sum(axis=1), 1)
    assert targets.argmax(axis=1).tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(targets[1], [0.625**3, 3 * 0.375 * 0.625**2, 3 * 0.375**2 * 0.625, 0.375**3])
    np.testing.assert_allclose(targets[::-1, ::-1], targets)


def test_corn_is_that_of_its_paper() -> None:
    objective = find_objective("corn", ODD)
    assert objective.outputs == 3 + 2 + 3 + 1
    logits = logits_of(objective.outputs).astype(np.float64)
    sites, shares, start = [], [softmax(logits[:, :3])], 3
    for columns in ODD.site_columns:
        of_site = LABELS[:, columns]
        questions = of_site.shape[1] - 1
        mine = logits[:, start : start + questions]
        start += questions
        losses = np.full(len(LABELS), np.nan)
        for row in np.flatnonzero(of_site.sum(axis=1)):
            rank = int(of_site[row].argmax())
            # Question j is put to those whose rank is at least j: is it above j?
            asked = [(rank > j, mine[row, j]) for j in range(questions) if rank >= j]
            losses[row] = sum(-np.log(sigmoid(z) if above else 1 - sigmoid(z)) for above, z in asked) / questions
        sites.append(losses)
        above = np.concatenate([np.ones((len(LABELS), 1)), np.cumprod(sigmoid(mine), axis=1)], axis=1)
        shares.append(above - np.concatenate([above[:, 1:], np.zeros((len(LABELS), 1))], axis=1))
    expected = by_site(sites, cross_entropy(LABELS[:, :3], logits[:, :3]))
    np.testing.assert_allclose(objective.loss(LABELS, logits.astype(np.float32)), expected, rtol=1e-4)
    np.testing.assert_allclose(
        objective.probabilities(logits.astype(np.float32)), np.concatenate(shares, axis=1), atol=1e-6
    )


@pytest.mark.parametrize("name", ["masked", "soft", "corn"])
def test_what_is_unscored_moves_no_score(name: str) -> None:
    """An image without scores has no gradient but the view's."""
    import tensorflow as tf

    objective = find_objective(name, ODD)
    logits = tf.Variable(logits_of(objective.outputs))
    with tf.GradientTape() as tape:
        loss = objective.loss(LABELS, logits)
    gradient = tape.gradient(loss, logits).numpy()
    assert np.abs(gradient[3, 3:]).max() == 0
    assert np.abs(gradient[3, :3]).max() > 0
    assert np.abs(gradient[0, 3:5]).max() > 0


@pytest.mark.parametrize("name", ["masked", "soft", "corn"])
def test_balanced_classes_weigh_a_site_by_its_score(name: str) -> None:
    """scikit-learn's weights, times the site's loss; the view's part has none."""
    objective = find_objective(name, ODD)
    logits = logits_of(objective.outputs)
    rng = np.random.default_rng(0)
    shown = [{"rim": int(rng.integers(0, 3))}, {"core": int(rng.choice([1, 2, 3, 5]))}, {}]
    many = np.array([ODD.encode("abc"[n % 3], shown[n % 3] if n % 3 < 2 else {"seam": n // 3 % 2}) for n in range(60)])
    weights = objective.balanced_weights(many.astype(np.float32))
    assert weights.shape == (2, len(ODD.labels))
    for columns in ODD.site_columns:
        scored = many[many[:, columns].sum(axis=1) > 0][:, columns].argmax(axis=1)
        classes = np.unique(scored)
        expected = compute_class_weight("balanced", classes=classes, y=scored) * len(classes)
        np.testing.assert_allclose(weights[1, columns][classes] * weights[1, columns].size, expected, rtol=1e-5)
    plain = np.asarray(objective.loss(LABELS, logits))
    doubled = np.asarray(objective.loss(LABELS, logits, 0.0, np.full((2, len(ODD.labels)), 2, np.float32)))
    views = cross_entropy(LABELS[:, :3], logits[:, :3])
    np.testing.assert_allclose(doubled - views, 2 * (plain - views), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["masked", "soft", "corn"])
def test_smoothing_spreads_a_share_of_a_site_s_target(name: str) -> None:
    """Keras's label smoothing of the same targets; of the view nothing is smoothed."""
    objective = find_objective(name, ODD)
    logits = logits_of(objective.outputs)
    smoothed = np.asarray(objective.loss(LABELS, logits, 0.2))
    rim = slice(3, 3 + objective.site_outputs(3))
    targets = LABELS[:1, 3:6]
    if name == "corn":  # a score of 2 answers yes to both questions
        expected = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.2)(
            np.ones((1, 2), np.float32), logits[:1, rim]
        )
    else:
        targets = targets @ np.array(soft_targets(3), np.float32) if name == "soft" else targets
        expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)(targets, logits[:1, rim])
    view = cross_entropy(LABELS[:1, :3], logits[:1, :3])
    assert smoothed[0] == pytest.approx(float(expected) + float(view[0]), rel=1e-4)


def test_an_objective_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(BadStudy, match=r"model\.objective = 'mask': did you mean masked"):
        find_objective("mask", MRUST)
