"""A tiny dataset and tiny planned runs in a store."""

import io
from typing import Any

import pyarrow.parquet as pq
from PIL import Image

from rustk.datasets.weights import resolve_weights
from rustk.planning.plan import make_plan
from rustk.planning.study import Study
from rustk.store import Store
from rustk.store.datasets import read_dataset, read_index
from rustk.store.runs import publish_plan
from rustk.training.records import Sample, write_dataset
from rustk.vocabulary import names
from rustk.vocabulary.schemas import read_metadata
from tests.training.small_networks import HEIGHT, WIDTH, make_images

DATASET = "tiny"
DEVELOP, TEST = 23, 4


def make_dataset(store: Store) -> None:
    samples = []
    for number, pixels in enumerate(make_images(DEVELOP + TEST)):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        view, cortex = (("ap", "medial"), ("lateral", "anterior"))[number % 2]
        split = "develop" if number < DEVELOP else "test"
        scores = {cortex: number % 4 + 1 if number % 5 else None}
        samples.append(
            Sample(f"s{number:02d}", split, f"p{number // 2}", f"v{number // 2}", view, scores, buffer.getvalue())
        )
    counts = {"develop": DEVELOP, "test": TEST}
    shards = {"develop": 3, "test": 1}
    write_dataset(store, DATASET, samples, counts=counts, image_shape=(HEIGHT, WIDTH, 1), shards=shards)


def plan_run(store: Store, run: str, **changes: Any) -> str:
    """Plan a run of a small study; changes are sections or fields of it."""
    fields: dict[str, Any] = {
        "name": "small",
        "model": {
            "architecture": "small_networks:small_backbone",
            "weights": "random",
            "head": (8,),
            "dropout": 0.2,
        },
        "training": {"epochs": 3, "batch_size": 8, "learning_rate": 3e-3},
        "folds": {"scheme": "shard", "k": 3},
    }
    for name, value in changes.items():
        fields[name] = {**fields.get(name, {}), **value} if isinstance(value, dict) else value
    study = Study.model_validate(fields)
    dataset = read_dataset(store, DATASET)
    weights = resolve_weights(store, study.model.weights)
    publish_plan(store, make_plan(study, dataset, read_index(store, dataset), weights, name=run))
    return run


def read_history(store: Store, run: str, trial: int, fold: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of a history without their times, and its metadata."""
    table = pq.read_table(io.BytesIO(store.read(names.history_key(run, trial, fold))))
    return table.drop_columns("seconds").to_pylist(), read_metadata(table.schema)
