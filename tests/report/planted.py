"""Runs drawn from a seed, clean or with one fault planted, in the store's layout: what the audit must flag, and not."""

import io
import json
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from rustk.metrics import thresholded
from rustk.report.aggregate import Aggregate, aggregate
from rustk.report.results import load_run
from rustk.vocabulary import names, schemas
from rustk.vocabulary.errors import KeyMissing
from rustk.vocabulary.labels import CORTICES, LABELS, encode_label

SHOWN = {"ap": ("medial", "lateral"), "lateral": ("anterior", "posterior")}


@dataclass(frozen=True)
class Entry:
    key: str


@dataclass
class Shelf:
    """A store in memory, to read results from."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def read(self, key: str) -> bytes:
        if key not in self.objects:
            raise KeyMissing(key, "memory")
        return self.objects[key]

    def list(self, prefix: str) -> list[Entry]:
        return [Entry(key) for key in sorted(self.objects) if key.startswith(prefix)]


@dataclass(frozen=True)
class Plan:
    """What to draw. The defaults are clean: patients kept together, a model that learns, every value in effect."""

    run: str = "planted-00000001"
    study: str = "planted"
    title: str = "Planted study"
    seed: int = 1
    patients: int = 160
    folds: int = 4
    epochs: int = 3
    signal: float = 1.2  # how much the images tell beyond the view
    trials: tuple[dict[str, float], ...] = (
        {"learning_rate": 1e-3, "batch_size": 64},
        {"learning_rate": 1e-2, "batch_size": 16},
    )
    split_patients: bool = False
    copied_image: bool = False
    copied_into_test: bool = False
    test_patient_in_develop: bool = False
    dead_batch_size: bool = False
    weights: str = "imagenet"
    without: tuple[str, ...] = ()  # predictions, folds, index, metadata
    missing: tuple[tuple[int, int], ...] = ()
    diverged: tuple[tuple[int, int, int], ...] = ()  # (trial, fold, epoch)


def parquet(frame: pd.DataFrame | pa.Table, metadata: dict[str, Any] | None = None) -> bytes:
    table = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    if metadata is not None:
        table = table.cast(schemas.with_metadata(table.schema, metadata))
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def draw_index(plan: Plan) -> pd.DataFrame:
    rng = np.random.default_rng([plan.seed, 1])
    rows: list[dict[str, Any]] = []
    for patient in range(plan.patients):
        split = "test" if patient % 7 == 6 else "develop"
        for visit in range(int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))):
            healed = rng.normal()
            for view, cortices in SHOWN.items():
                number = len(rows)
                row: dict[str, Any] = dict.fromkeys(CORTICES)
                for cortex in cortices:
                    if rng.random() > 0.12:
                        row[cortex] = int(np.digitize(healed + 0.5 * rng.normal(), [-1.3, -0.2, 0.9])) + 1
                rows.append(
                    row
                    | {"sample_id": f"image-{number:05d}", "split": split, "patient": f"p{patient:04d}"}
                    | {"visit": f"v{visit}", "view": view, "shard": f"{split}-00000-of-00001.tfrecord"}
                    | {"position": number, "image_sha256": f"{number:064x}"}
                    | {"image_phash": f"{rng.integers(1 << 63):016x}"}
                )
    index = pd.DataFrame(rows)
    if plan.copied_image:  # the first image of the first patient, re-encoded, is the last patient's too
        develop = index.index[(index["split"] == "develop") & (index["view"] == index.loc[0, "view"])]
        index.loc[develop[-1], "image_phash"] = f"{int(index.loc[develop[0], 'image_phash'], 16) ^ 0b101:016x}"
    if plan.copied_into_test:
        tested = index.index[index["split"] == "test"]
        index.loc[tested[0], "image_sha256"] = index.loc[0, "image_sha256"]
    if plan.test_patient_in_develop:
        tested = index.index[index["split"] == "test"]
        index.loc[tested[0], "patient"] = index.loc[0, "patient"]
    return index.sort_values(["split", "sample_id"], ignore_index=True)


def draw_folds(plan: Plan, index: pd.DataFrame) -> pd.DataFrame:
    develop = index[index["split"] == "develop"]
    if plan.split_patients:
        fold = np.random.default_rng([plan.seed, 3]).permutation(len(develop)) % plan.folds
    else:
        patients = {patient: number for number, patient in enumerate(develop["patient"].unique())}
        fold = develop["patient"].map(patients).to_numpy() % plan.folds
    return pd.DataFrame({"sample_id": develop["sample_id"], "fold": fold.astype(np.int32)})


def encode(rows: pd.DataFrame) -> np.ndarray:
    """[n, 18] labels of index rows."""
    scores = [{c: None if pd.isna(row[c]) else int(row[c]) for c in CORTICES} for _, row in rows.iterrows()]
    return np.array([encode_label(view, s) for view, s in zip(rows["view"], scores, strict=True)], dtype=np.float32)


def draw_probabilities(plan: Plan, labels: np.ndarray, trial: int, epoch: int) -> np.ndarray:
    """[n, 18]: the view is told well, the score as well as `signal` says, better from epoch to epoch."""
    rng = np.random.default_rng([plan.seed, 2, trial, epoch])
    view = labels[:, :1]  # 1: ap, which shows the first two cortices listed
    told = np.concatenate([np.repeat(view, 8, axis=1), np.repeat(1 - view, 8, axis=1)], axis=1)
    learnt = plan.signal * (epoch / plan.epochs) * (1 - 0.1 * trial)
    cortices = -4.0 + 3.0 * told + learnt * labels[:, 2:] + rng.normal(scale=0.6, size=told.shape)
    views = 6 * labels[:, :2] - 3 + rng.normal(scale=0.3, size=(len(labels), 2))
    return (1 / (1 + np.exp(-np.concatenate([views, cortices], axis=1)))).astype(np.float32)


def plant(plan: Plan, shelf: Shelf | None = None) -> Shelf:
    """Write the run that `plan` describes, and its dataset."""
    shelf = shelf or Shelf()
    put = shelf.objects.__setitem__
    index = draw_index(plan)
    folds = draw_folds(plan, index)
    develop = index.merge(folds, on="sample_id")
    labels = encode(develop)
    asked = [dict(trial) for trial in plan.trials]
    dataset = {"schema": 1, "name": "phantom", "image_shape": [299, 299, 1], "digest": f"{plan.seed:064x}"}
    dataset |= {"counts": index["split"].value_counts().to_dict(), "patients": {}, "preparation": {"resize": "stretch"}}
    study = {
        "name": plan.study,
        "title": plan.title,
        "description": "Drawn from a seed.",
        "model": {"architecture": "inception_v3", "weights": plan.weights, "trainable": False, "dropout": 0.2},
        "training": {"epochs": plan.epochs, "batch_size": 64, "learning_rate": 1e-3, "flips": ["horizontal"]},
        "folds": {"scheme": "shard" if plan.split_patients else "patient", "k": plan.folds, "seed": 0},
        "search": {"kind": "grid"} if asked[0] else None,
        "metric": "val_auroc",
        "seed": plan.seed,
    }
    planned = {"trials": len(asked), "folds": plan.folds, "epochs": plan.epochs}
    resolved = {"schema": 1, "run": plan.run, "study": study, "planned": planned, "versions": {"rustk": "0.1"}}
    resolved |= {"weights": {"name": plan.weights, "sha256": None}, "taken_from": None}
    if "index" not in plan.without:
        resolved |= {"dataset": {"name": "phantom", "digest": dataset["digest"]}}
        put(names.dataset_key("phantom"), json.dumps(dataset).encode())
        put(names.dataset_index_key("phantom"), parquet(pa.Table.from_pandas(index, schema=schemas.INDEX)))
    put(names.run_study_key(plan.run), json.dumps(resolved).encode())
    if "folds" not in plan.without:
        put(names.folds_key(plan.run), parquet(folds))
    put(names.trials_key(plan.run), parquet(pd.DataFrame([{"trial": t, **row} for t, row in enumerate(asked)])))
    for trial, hyperparameters in enumerate(asked):
        for fold in range(plan.folds):
            if (trial, fold) in plan.missing:
                continue
            ends = next((e for t, f, e in plan.diverged if (t, f) == (trial, fold)), None)
            _plant_fold(plan, shelf, develop, labels, trial, fold, hyperparameters, ends)
    return shelf


def _plant_fold(
    plan: Plan,
    shelf: Shelf,
    develop: pd.DataFrame,
    labels: np.ndarray,
    trial: int,
    fold: int,
    asked: dict[str, float],
    diverged: int | None,
) -> None:
    here = develop["fold"].to_numpy() == fold
    history, predictions = [], []
    for epoch in range(1, plan.epochs + 1 if diverged is None else diverged):
        probabilities = draw_probabilities(plan, labels, trial, epoch)
        row: dict[str, float] = {"epoch": epoch}
        for prefix, rows in (("", ~here), ("val_", here)):
            row[f"{prefix}loss"] = thresholded.binary_cross_entropy(labels[rows], probabilities[rows])
            found = thresholded.epoch_metrics(labels[rows], probabilities[rows])
            row |= {f"{prefix}{name}": value for name, value in found.items()}
        history.append(row | {"seconds": 1.5})
        frame = pd.DataFrame(probabilities[here], columns=list(LABELS))
        frame.insert(0, "sample_id", develop["sample_id"][here].to_numpy())
        frame.insert(0, "epoch", np.int32(epoch))
        predictions.append(frame)
    train = int((~here).sum())
    size = int(min(asked.get("batch_size", 64), train))
    if plan.dead_batch_size:
        size = 32
    in_effect: dict[str, Any] = {
        "batch_size": size,
        "last_batch_size": train % size or size,
        "steps_per_epoch": -(-train // size),
    }
    rate, epsilon = (
        float(np.float32(asked.get(name, usual))) for name, usual in (("learning_rate", 1e-3), ("epsilon", 1e-7))
    )
    in_effect |= {
        "learning_rate": rate,
        "epsilon": epsilon,
        "dropout": 0.2,
        "optimizer": "adam",
        "trainable_parameters": 9,
    }
    metadata = {
        "schema": 1,
        "run": plan.run,
        "trial": trial,
        "fold": fold,
        "outcome": "completed" if diverged is None else "diverged",
        "diverged_epoch": diverged,
        "hyperparameters": asked,
        "in_effect": in_effect,
        "samples": {"train": train, "validation": int(here.sum())},
        "seeds": {"study": plan.seed, "fold": 100 * trial + fold},
        "digests": {"dataset": f"{plan.seed:064x}", "weights": "ab" * 32, "features": "cd" * 32, "image": None},
        "features": "cached",
        "device": "cpu",
        "versions": {"rustk": "0.1", "tensorflow": "2.21", "keras": "3.15", "numpy": "2.4", "python": "3.11"},
        "phases_seconds": {"read": 0.5, "train": 4.0, "validate": 1.0},
    }
    if "metadata" in plan.without:
        metadata = {}
    table = pa.Table.from_pandas(pd.DataFrame(history, columns=schemas.HISTORY.names), schema=schemas.HISTORY)
    shelf.objects[names.history_key(plan.run, trial, fold)] = parquet(table, metadata)
    if "predictions" not in plan.without and predictions:
        shelf.objects[names.prediction_key(plan.run, trial, fold)] = parquet(pd.concat(predictions))


def aggregated(plan: Plan, shelf: Shelf | None = None) -> Aggregate:
    """The run that `plan` describes, written, read and averaged."""
    return aggregate(load_run(plant(plan, shelf), plan.run), allow_partial=bool(plan.missing))


CLEAN = Plan()
VIEW_ONLY = replace(CLEAN, run="view-only-00000001", study="view-only", signal=0.0)
