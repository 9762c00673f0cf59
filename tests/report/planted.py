"""Runs drawn from a seed, clean or with one fault planted, in the store's layout: what the audit must flag, and not."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from rustk.metrics import thresholded
from rustk.report.data.aggregate import Aggregate, aggregate
from rustk.report.data.results import load_run
from rustk.store.base import Entry
from rustk.store.datasets import dataset_digest
from rustk.store.documents import (
    DatasetDocument,
    HistoryMetadata,
    NamedDigest,
    NamedWeights,
    Planned,
    RunDocument,
    Shard,
    StudyPart,
    encode_document,
)
from rustk.vocabulary import names, schemas
from rustk.vocabulary.errors import KeyMissing
from rustk.vocabulary.instrument import FROM_DATA, Instrument
from rustk.vocabulary.parquet import encode_parquet, with_metadata
from tests.instruments import MRUST, ODD, SINGLE

SHAPE = (299, 299, 1)

# Which view shows a site that an instrument leaves to the data.
SHOWN = {"medial": ("ap",), "lateral": ("ap",), "anterior": ("lateral",), "posterior": ("lateral",), "core": ("b", "c")}


@dataclass
class Shelf:
    """A store in memory."""

    objects: dict[str, bytes] = field(default_factory=dict)
    url: str = "memory"

    def read(self, key: str) -> bytes:
        if key not in self.objects:
            raise KeyMissing(key, self.url)
        return self.objects[key]

    def write(self, key: str, data: bytes) -> None:
        self.objects[key] = data

    def write_new(self, key: str, data: bytes) -> bool:
        return self.objects.setdefault(key, data) is data

    def exists(self, key: str) -> bool:
        return key in self.objects

    def list(self, prefix: str) -> list[Entry]:
        found = sorted(key for key in self.objects if key.startswith(prefix))
        return [Entry(key, len(self.objects[key]), datetime(2024, 5, 1, tzinfo=UTC)) for key in found]

    def folders(self, prefix: str) -> tuple[str, ...]:
        below = [key.removeprefix(prefix) for key in self.objects if key.startswith(prefix)]
        return tuple(sorted({rest.split("/")[0] for rest in below if "/" in rest}))

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def put_document(self, key: str, **fields: Any) -> None:
        """Change fields of the JSON document under `key`."""
        self.objects[key] = json.dumps({**json.loads(self.objects[key]), **fields}).encode()


@dataclass(frozen=True)
class Plan:
    """What to draw. The defaults are clean: patients kept together, a model that learns, every value in effect."""

    run: str = "planted-00000001"
    study: str = "planted"
    title: str = "Planted study"
    instrument: Instrument = MRUST
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
    known_patients: bool = True
    copied_image: bool = False
    copied_into_test: bool = False
    test_patient_in_develop: bool = False
    dead_batch_size: bool = False
    also_in_effect: tuple[tuple[str, Any], ...] = ()
    never: tuple[tuple[str, int], ...] = ()  # (site, score) that no image has
    weights: str = "imagenet"
    model: tuple[tuple[str, Any], ...] = ()  # fields of the study's sections, beside or in place of those of every run
    training: tuple[tuple[str, Any], ...] = ()
    search: tuple[tuple[str, Any], ...] = ()
    features: str = "cached"  # as every history records it
    without: tuple[str, ...] = ()  # predictions, folds, index, metadata
    missing: tuple[tuple[int, int], ...] = ()
    diverged: tuple[tuple[int, int, int], ...] = ()  # (trial, fold, epoch)


def parquet(frame: pd.DataFrame | pa.Table, metadata: dict[str, Any] | None = None) -> bytes:
    table = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    if metadata is not None:
        table = table.cast(with_metadata(table.schema, json.dumps(metadata).encode()))
    return encode_parquet(table)


def shown_by(instrument: Instrument, site: str) -> tuple[str, ...]:
    """The views whose images are given a score of the site."""
    views = instrument.site(site).views
    return SHOWN[site] if views == FROM_DATA else views


def draw_index(plan: Plan) -> pd.DataFrame:
    rng = np.random.default_rng([plan.seed, 1])
    rows: list[dict[str, Any]] = []
    for patient in range(plan.patients):
        split = "test" if patient % 7 == 6 else "develop"
        for visit in range(int(rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1]))):
            healed = rng.normal()
            for view in plan.instrument.views:
                number = len(rows)
                row: dict[str, Any] = dict.fromkeys(plan.instrument.site_names)
                for site in plan.instrument.sites:
                    if view not in shown_by(plan.instrument, site.name):
                        continue
                    if rng.random() > 0.12 or not plan.instrument.unscored:
                        cuts = np.linspace(-1.3, 0.9, len(site.scores) - 1)
                        row[site.name] = site.scores[int(np.digitize(healed + 0.5 * rng.normal(), cuts))]
                rows.append(
                    row
                    | {"sample_id": f"image-{number:05d}", "split": split, "patient": f"p{patient:04d}"}
                    | {"visit": f"v{visit}", "view": view, "shard": f"{split}-00000-of-00001.tfrecord"}
                    | {"position": number, "image_sha256": f"{number:064x}"}
                    | {"image_phash": f"{rng.integers(1 << 63):016x}"}
                )
    index = pd.DataFrame(rows)
    for site, score in plan.never:
        index.loc[index[site] == score, site] = None
    if plan.copied_image:  # the first image of the first patient, re-encoded, is the last patient's too
        develop = index.index[(index["split"] == "develop") & (index["view"] == index.loc[0, "view"])]
        index.loc[develop[-1], "image_phash"] = f"{int(index.loc[develop[0], 'image_phash'], 16) ^ 0b101:016x}"
    if plan.copied_into_test:
        tested = index.index[index["split"] == "test"]
        index.loc[tested[0], "image_sha256"] = index.loc[0, "image_sha256"]
    if plan.test_patient_in_develop:
        tested = index.index[index["split"] == "test"]
        index.loc[tested[0], "patient"] = index.loc[0, "patient"]
    if not plan.known_patients:
        index["patient"] = None
    return index.sort_values(["split", "sample_id"], ignore_index=True)


def draw_folds(plan: Plan, index: pd.DataFrame) -> pd.DataFrame:
    develop = index[index["split"] == "develop"]
    if plan.split_patients or not plan.known_patients:
        fold = np.random.default_rng([plan.seed, 3]).permutation(len(develop)) % plan.folds
    else:
        patients = {patient: number for number, patient in enumerate(develop["patient"].unique())}
        fold = develop["patient"].map(patients).to_numpy() % plan.folds
    return pd.DataFrame({"sample_id": develop["sample_id"], "fold": fold.astype(np.int32)})


def encode(rows: pd.DataFrame, instrument: Instrument = MRUST) -> np.ndarray:
    """[n, labels] of index rows."""
    scores = [
        {c: None if pd.isna(row[c]) else int(row[c]) for c in instrument.site_names} for _, row in rows.iterrows()
    ]
    encoded = [instrument.encode(view, s) for view, s in zip(rows["view"], scores, strict=True)]
    return np.array(encoded, dtype=np.float32)


def draw_probabilities(plan: Plan, rows: pd.DataFrame, labels: np.ndarray, trial: int, epoch: int) -> np.ndarray:
    """[n, labels]: the view is told well, the score as well as `signal` says, better from epoch to epoch."""
    rng = np.random.default_rng([plan.seed, 2, trial, epoch])
    instrument = plan.instrument
    shown = {site.name: rows["view"].isin(shown_by(instrument, site.name)).to_numpy() for site in instrument.sites}
    told = np.stack([shown[site.name] for site in instrument.sites for _ in site.scores], axis=1)
    learnt = plan.signal * (epoch / plan.epochs) * (1 - 0.1 * trial)
    scores = -4.0 + 3.0 * told + learnt * labels[:, instrument.score_columns] + rng.normal(scale=0.6, size=told.shape)
    views = labels[:, : instrument.score_columns.start]
    views = 6 * views - 3 + rng.normal(scale=0.3, size=views.shape)
    return (1 / (1 + np.exp(-np.concatenate([views, scores], axis=1)))).astype(np.float32)


def plant(plan: Plan, shelf: Shelf | None = None) -> Shelf:
    """Write the run that `plan` describes, and its dataset."""
    shelf = shelf or Shelf()
    put = shelf.objects.__setitem__
    index = draw_index(plan)
    folds = draw_folds(plan, index)
    develop = index.merge(folds, on="sample_id")
    labels = encode(develop, plan.instrument)
    asked = [dict(trial) for trial in plan.trials]
    encoded = parquet(pa.Table.from_pandas(index, schema=schemas.index_schema(plan.instrument)))
    split = plan.split_patients or not plan.known_patients
    index_sha256 = hashlib.sha256(encoded).hexdigest()
    shard = Shard(key="develop-00000-of-00001.tfrecord", split="develop", records=1, bytes=1, sha256="0" * 64)
    digest = dataset_digest(SHAPE, (shard,), index_sha256, plan.instrument)
    study = {
        "name": plan.study,
        "title": plan.title,
        "description": "Drawn from a seed.",
        "model": {
            **{"architecture": "inception_v3", "weights": plan.weights, "trainable": False, "dropout": 0.2},
            **dict(plan.model),
        },
        "training": {
            **{"epochs": plan.epochs, "batch_size": 64, "learning_rate": 1e-3, "flips": ["horizontal"]},
            **dict(plan.training),
        },
        "folds": {"scheme": "shard" if split else "patient", "k": plan.folds, "seed": 0},
        "search": {"kind": "grid", **dict(plan.search)} if asked[0] else None,
        "metric": "val_auroc",
        "seed": plan.seed,
    }
    known = "index" not in plan.without
    resolved = RunDocument(
        run=plan.run,
        study=StudyPart.model_validate(study),
        dataset=NamedDigest(name="phantom", digest=digest) if known else None,
        weights=NamedWeights(name=plan.weights),
        instrument=plan.instrument if known else None,
        planned=Planned(trials=len(asked), folds=plan.folds, epochs=plan.epochs),
        planned_at=datetime(2024, 5, 1, tzinfo=UTC),
        versions={"rustk": "0.1"},
    )
    if known:
        dataset = DatasetDocument(
            name="phantom",
            instrument=plan.instrument,
            image_shape=SHAPE,
            shards=(shard,),
            counts=index["split"].value_counts().to_dict(),
            index_sha256=index_sha256,
            preparation={"resize": "stretch"},
            digest=digest,
        )
        put(names.dataset_key("phantom"), encode_document(dataset))
        put(names.dataset_index_key("phantom"), encoded)
    put(names.run_study_key(plan.run), encode_document(resolved))
    if "folds" not in plan.without:
        put(names.folds_key(plan.run), parquet(folds))
    put(names.trials_key(plan.run), parquet(pd.DataFrame([{"trial": t, **row} for t, row in enumerate(asked)])))
    for trial, hyperparameters in enumerate(asked):
        for fold in range(plan.folds):
            if (trial, fold) in plan.missing:
                continue
            ends = next((e for t, f, e in plan.diverged if (t, f) == (trial, fold)), None)
            _plant_fold(plan, shelf, develop, labels, digest, trial, fold, hyperparameters, ends)
    return shelf


def _plant_fold(
    plan: Plan,
    shelf: Shelf,
    develop: pd.DataFrame,
    labels: np.ndarray,
    digest: str,
    trial: int,
    fold: int,
    asked: dict[str, float],
    diverged: int | None,
) -> None:
    here = develop["fold"].to_numpy() == fold
    history, predictions = [], []
    for epoch in range(1, plan.epochs + 1 if diverged is None else diverged):
        probabilities = draw_probabilities(plan, develop, labels, trial, epoch)
        row: dict[str, float] = {"epoch": epoch}
        for prefix, rows in (("", ~here), ("val_", here)):
            row[f"{prefix}loss"] = log_loss(labels[rows], probabilities[rows])
            found = thresholded.epoch_metrics(labels[rows], probabilities[rows])
            row |= {f"{prefix}{name}": value for name, value in found.items()}
        history.append(row | {"seconds": 1.5})
        frame = pd.DataFrame(probabilities[here], columns=list(plan.instrument.labels))
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
        **dict(plan.also_in_effect),
    }
    metadata = HistoryMetadata(
        run=plan.run,
        trial=trial,
        fold=fold,
        outcome="completed" if diverged is None else "diverged",
        diverged_epoch=diverged,
        hyperparameters=asked,
        in_effect=in_effect,
        samples={"train": train, "validation": int(here.sum())},
        seeds={"study": plan.seed, "fold": 100 * trial + fold},
        digests={"dataset": digest, "weights": "ab" * 32, "features": "cd" * 32, "image": None},
        features=plan.features,
        device="cpu",
        versions={"rustk": "0.1", "tensorflow": "2.21", "keras": "3.15", "numpy": "2.4", "python": "3.11"},
        phases_seconds={"read": 0.5, "train": 4.0, "validate": 1.0},
    )
    described = {} if "metadata" in plan.without else json.loads(encode_document(metadata))
    table = pa.Table.from_pandas(pd.DataFrame(history, columns=schemas.HISTORY.names), schema=schemas.HISTORY)
    shelf.objects[names.history_key(plan.run, trial, fold)] = parquet(table, described)
    if "predictions" not in plan.without and predictions:
        shelf.objects[names.prediction_key(plan.run, trial, fold)] = parquet(pd.concat(predictions))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean binary cross-entropy; the probabilities are never 0 or 1."""
    p = probabilities.astype(np.float64)
    return float(-(labels * np.log(p) + (1 - labels) * np.log1p(-p)).mean())


def aggregated(plan: Plan, shelf: Shelf | None = None) -> Aggregate:
    """The run that `plan` describes, written, read and averaged."""
    return aggregate(load_run(plant(plan, shelf), plan.run), allow_partial=bool(plan.missing))


CLEAN = Plan()
VIEW_ONLY = replace(CLEAN, run="view-only-00000001", study="view-only", signal=0.0)
ODD_RUN = replace(CLEAN, run="odd-00000001", study="odd", instrument=ODD)
SINGLE_RUN = replace(CLEAN, run="single-00000001", study="single", instrument=SINGLE)
