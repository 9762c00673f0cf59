"""The metrics of an epoch as the studies define them, which is as Keras computes them.

They exist so that a history can be compared with one that Keras's `fit` wrote, number by number, without paying for
Keras's metric objects at every step: each is computed once an epoch from all probabilities. Higher is better.
Sources: keras/src/metrics/confusion_metrics.py, metrics_utils.py and f_score_metrics.py of Keras 3. (The loss is the
objective's, in training/objectives.)
"""

import numpy as np
import numpy.typing as npt

# keras.config.epsilon(): keeps quotients finite.
EPSILON = 1e-7
AUROC_THRESHOLDS = 200
DECISION_THRESHOLD = 0.5

Floats = npt.NDArray[np.floating]


def auroc_by_label(labels: Floats, probabilities: Floats) -> npt.NDArray[np.float64]:
    """Area under the ROC curve of each label, by the trapezoid rule over Keras's 200 thresholds.

    labels (0 or 1) and probabilities: [samples, labels] -> float64 [labels]. As Keras's
    AUC(multi_label=True, num_thresholds=200): a sample is positive at a threshold if its probability is *above* it, the
    first and last thresholds lie outside [0, 1], and a label without positives or without negatives has area 0.
    A sample costs a bucket, not 200 comparisons.
    """
    samples, count = labels.shape
    # The products are formed in float32, as Keras does: a probability on a threshold must fall on the same side of it.
    scaled = np.clip(probabilities, 0, 1).astype(np.float32) * np.float32(AUROC_THRESHOLDS - 1)
    buckets = np.maximum(np.ceil(scaled).astype(np.int64) - 1, 0)  # [samples, labels]
    cells = (buckets * count + np.arange(count)).ravel()
    positive = (labels != 0).ravel()
    size = AUROC_THRESHOLDS * count
    shape = (AUROC_THRESHOLDS, count)
    in_bucket = np.bincount(cells, minlength=size).reshape(shape)
    true_in_bucket = np.bincount(cells[positive], minlength=size).reshape(shape)
    # What lies above threshold t is what lies in the buckets from t on.
    true_above = true_in_bucket[::-1].cumsum(axis=0)[::-1]  # [thresholds, labels]
    false_above = in_bucket[::-1].cumsum(axis=0)[::-1] - true_above
    positives = true_above[0]
    recall = _ratio(true_above, positives)
    false_rate = _ratio(false_above, samples - positives)
    return ((false_rate[:-1] - false_rate[1:]) * (recall[:-1] + recall[1:]) / 2).sum(axis=0)


def auroc(labels: Floats, probabilities: Floats) -> float:
    """Unweighted mean of `auroc_by_label`, labels that are never or always positive counting 0, as in Keras."""
    return float(auroc_by_label(labels, probabilities).mean())


def precision_recall(labels: Floats, probabilities: Floats) -> tuple[float, float]:
    """Precision and recall at 0.5 over all entries together; 0 where nothing is predicted, or nothing is positive.

    labels and probabilities: [samples, labels]. As keras.metrics.Precision() and Recall(): above 0.5 is positive.
    """
    predicted = probabilities > DECISION_THRESHOLD
    positive = labels != 0
    true_positives = np.count_nonzero(predicted & positive)
    return (
        float(_ratio(np.array(true_positives), np.count_nonzero(predicted))),
        float(_ratio(np.array(true_positives), np.count_nonzero(positive))),
    )


def macro_f1(labels: Floats, probabilities: Floats) -> float:
    """Unweighted mean over labels of F1 at 0.5, as keras.metrics.F1Score(average="macro", threshold=0.5).

    labels and probabilities: [samples, labels]. A label that is neither predicted nor present counts 0. Keras's
    epsilons are kept: they lower a perfect score by about 1e-7.
    """
    predicted = probabilities > DECISION_THRESHOLD
    positive = labels != 0
    true_positives = np.count_nonzero(predicted & positive, axis=0)
    precision = true_positives / (np.count_nonzero(predicted, axis=0) + EPSILON)
    recall = true_positives / (np.count_nonzero(positive, axis=0) + EPSILON)
    return float((2 * precision * recall / (precision + recall + EPSILON)).mean())


def epoch_metrics(labels: Floats, probabilities: Floats) -> dict[str, float]:
    """auroc, precision, recall and f1 of one epoch's probabilities: [samples, labels] both."""
    precision, recall = precision_recall(labels, probabilities)
    return {
        "auroc": auroc(labels, probabilities),
        "precision": precision,
        "recall": recall,
        "f1": macro_f1(labels, probabilities),
    }


def _ratio(part: npt.NDArray[np.int64], whole: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Quotient, 0 where `whole` is 0."""
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole != 0)
