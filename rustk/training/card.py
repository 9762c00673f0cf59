"""The card of a final model: what it is, what it was made from, how it did, and what it is not for."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rustk.metrics.thresholded import binary_cross_entropy, epoch_metrics
from rustk.planning.plan import Plan
from rustk.planning.study import Study
from rustk.training.device import container_image, device_name, versions
from rustk.training.reading import encode_labels
from rustk.vocabulary.labels import CORTICES, VIEWS

LIMITS = (
    "Not a medical device, and not for clinical use: nobody has shown that decisions made with it help patients.",
    "Its figures hold for images and patients like those of the dataset, prepared in the same way, and for no others.",
    "It scores one radiograph at a time, and only the cortices that its view shows.",
    "Its probabilities were not recalibrated; see the calibration curves of the run's report.",
)


def describe_model(
    plan: Plan,
    study: Study,
    dataset: Mapping[str, Any],
    develop: pa.Table,
    *,
    chosen: Mapping[str, Any],
    seed: int,
    in_effect: Mapping[str, Any],
    model_sha256: str,
) -> dict[str, Any]:
    """The card before the test. `develop`: the rows of the index that the model was trained on."""
    limits = list(LIMITS)
    if plan.weights["sha256"] is None and not study.model.trainable:
        limits.append("Its backbone has random weights: it shows that the software works, and nothing else.")
    return {
        "schema": 1,
        "run": plan.run,
        "study": study.name,
        "chosen": dict(chosen),
        "hyperparameters": {**study.hyperparameters, "epochs": chosen["epochs"]},
        "in_effect": dict(in_effect),
        "model": study.model.model_dump(mode="json"),
        "model_sha256": model_sha256,
        "weights": dict(plan.weights),
        "data": {
            "dataset": dataset["name"],
            "digest": dataset["digest"],
            "image_shape": dataset["image_shape"],
            "preparation": dataset.get("preparation", {}),
            "counts": dataset.get("counts", {}),
            "patients": dataset.get("patients", {}),
        },
        "cortices_by_view": cortices_by_view(develop),
        "seeds": {"study": study.seed, "final": seed},
        "image": container_image(),
        "device": device_name(),
        "versions": versions(),
        "limits": limits,
    }


def cortices_by_view(index: pa.Table) -> dict[str, list[str]]:
    """Which cortices are ever scored on images of a view: the data say it, not anatomy."""
    views = np.array(index["view"].to_pylist(), object)
    return {
        view: [
            cortex
            for cortex in CORTICES
            if np.array([score is not None for score in index[cortex].to_pylist()], bool)[views == view].any()
        ]
        for view in VIEWS
    }


def describe_test(index: pa.Table, probabilities: npt.NDArray[np.float32], seed: int) -> dict[str, Any]:
    """The figures of the test split: those of a fold's epoch, and those of the report with intervals over patients.

    index: the split's rows in the order of `probabilities` [images, 18].
    """
    # pandas takes a second to import, and training does without.
    from rustk.report.cohort import Cohort
    from rustk.report.evaluation import evaluate, resamples_of

    labels = encode_labels(index)
    scores = [[np.nan if score is None else score for score in index[cortex].to_pylist()] for cortex in CORTICES]
    cohort = Cohort(
        sample_ids=np.array(index["sample_id"].to_pylist(), object),
        folds=np.zeros(index.num_rows, np.intp),
        views=np.array(index["view"].to_pylist(), object),
        patients=np.array(index["patient"].to_pylist(), object),
        visits=np.array(index["visit"].to_pylist(), object),
        scores=np.array(scores, np.float64).T,
    )
    evaluation = evaluate(cohort, probabilities, resamples_of(cohort, seed))
    return {
        "images": evaluation.images,
        "patients": evaluation.patients,
        "visits": evaluation.visits,
        "epoch": {"loss": binary_cross_entropy(labels, probabilities), **epoch_metrics(labels, probabilities)},
        "figures": {
            key: {
                "title": figure.title,
                "value": _number(figure.interval.value),
                "low": _number(figure.interval.low),
                "high": _number(figure.interval.high),
                "confidence": figure.interval.confidence,
                "better": figure.better,
                "chance": figure.chance,
                "undefined": figure.undefined,
                "note": figure.note,
            }
            for key, figure in evaluation.figures.items()
        },
    }


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
