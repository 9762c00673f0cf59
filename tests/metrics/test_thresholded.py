"""The metrics of an epoch against the objects of Keras that define them."""

import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rustk.metrics.thresholded import (
    auroc,
    auroc_by_label,
    epoch_metrics,
    macro_f1,
    precision_recall,
)

pytestmark = pytest.mark.tensorflow

LABELS = 18
# Thresholds as Keras has them, and the floats on either side: the places where a tie can break the other way.
ON_THRESHOLDS = np.array([i / 199 for i in range(200)], np.float32)
NEAR_THRESHOLDS = np.concatenate(
    [ON_THRESHOLDS, np.nextafter(ON_THRESHOLDS, np.float32(0)), np.nextafter(ON_THRESHOLDS, np.float32(1))]
)


@functools.cache
def metrics_of(labels: int) -> dict[str, Any]:
    import keras

    return {
        "auroc": keras.metrics.AUC(multi_label=True, num_labels=labels, num_thresholds=200),
        "precision": keras.metrics.Precision(),
        "recall": keras.metrics.Recall(),
        "f1": keras.metrics.F1Score(average="macro", threshold=0.5),
    }


def keras_metrics(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    values = {}
    for name, metric in metrics_of(labels.shape[1]).items():
        if metric.variables:  # a metric of F1 has none before its first update
            metric.reset_state()
        # In two parts, as in an epoch of two steps.
        half = len(labels) // 2
        for part in (slice(0, half), slice(half, None)):
            if len(labels[part]):
                metric.update_state(labels[part], probabilities[part])
        values[name] = float(metric.result())
    return values


def assert_as_keras(labels: np.ndarray, probabilities: np.ndarray) -> None:
    expected = keras_metrics(labels, probabilities)
    measured = epoch_metrics(labels, probabilities)
    assert measured.keys() == expected.keys()
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value, abs=1e-6), name


def random_case(seed: int, samples: int = 415) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = (generator.random((samples, LABELS)) < generator.uniform(0.02, 0.6, LABELS)).astype(np.float32)
    logits = 1.5 * labels + generator.normal(0, 1.5, labels.shape)
    return labels, (1 / (1 + np.exp(-logits))).astype(np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_random_predictions(seed: int) -> None:
    assert_as_keras(*random_case(seed))


def test_ties_on_thresholds() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, (700, LABELS)).astype(np.float32)
    assert_as_keras(labels, generator.choice(NEAR_THRESHOLDS, labels.shape))
    assert_as_keras(labels, generator.choice(np.array([0, 0.5, 1], np.float32), labels.shape))
    # Bunched around one threshold the area hangs on which side each value falls.
    around = generator.choice(NEAR_THRESHOLDS.reshape(3, -1)[:, 77], labels.shape)
    assert_as_keras(labels, around)


def test_labels_without_positives_or_negatives_count_zero() -> None:
    labels, probabilities = random_case(1)
    labels[:, 3] = 0
    labels[:, 9] = 1
    areas = auroc_by_label(labels, probabilities)
    assert (areas[3], areas[9]) == (0, 0)
    assert (np.delete(areas, [3, 9]) > 0.5).all()
    assert_as_keras(labels, probabilities)


def test_the_mean_of_an_undefined_epoch_is_a_number() -> None:
    labels = np.zeros((5, LABELS), np.float32)
    assert epoch_metrics(labels, np.zeros_like(labels)) == {"auroc": 0, "precision": 0, "recall": 0, "f1": 0}
    assert_as_keras(labels, np.full_like(labels, 0.9))


def test_known_areas() -> None:
    labels = np.array([[0], [0], [1], [1]], np.float32)
    assert auroc(labels, np.array([[0.1], [0.2], [0.8], [0.9]])) == 1
    assert auroc(labels, np.array([[0.9], [0.8], [0.2], [0.1]])) == 0
    assert auroc(labels, np.full((4, 1), 0.3)) == 0.5
    assert precision_recall(labels, np.array([[0.6], [0.5], [0.6], [0.5]])) == (0.5, 0.5)
    assert macro_f1(labels, labels) == pytest.approx(1, abs=2e-7)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_anything_that_can_come_out_of_a_sigmoid(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 4)))
    labels = data.draw(hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 1.0])))
    values = st.one_of(st.sampled_from(NEAR_THRESHOLDS.tolist()), st.floats(0, 1, width=32))
    assert_as_keras(labels, data.draw(hnp.arrays(np.float32, shape, elements=values)))
