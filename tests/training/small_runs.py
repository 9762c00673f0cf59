"""A tiny dataset and tiny planned runs in a store."""

import io
from typing import Any

from PIL import Image

from rustk.datasets.records import Sample, write_dataset
from rustk.planning.plan import make_plan
from rustk.planning.study import study_from_fields
from rustk.store import Store
from rustk.store.datasets import read_dataset, read_index
from rustk.store.documents import HistoryMetadata, parse_document
from rustk.store.runs import publish_plan
from rustk.store.weights import resolve_weights
from rustk.vocabulary import names
from rustk.vocabulary.instrument import Instrument
from rustk.vocabulary.parquet import read_metadata_bytes, read_parquet
from tests.instruments import MRUST
from tests.training.small_networks import HEIGHT, WIDTH, make_images

DATASET = "tiny"
DEVELOP, TEST = 23, 4
# Which sites the images of a view show, in turn, by instrument.
_SHOWN = {
    "mrust": {"ap": ["medial"], "lateral": ["anterior"]},
    "odd": {"a": ["rim"], "b": ["rim", "core"], "c": ["core", "seam"]},
}


def make_dataset(
    store: Store,
    instrument: Instrument = MRUST,
    shape: tuple[int, int] = (HEIGHT, WIDTH),
    grain: tuple[int, int] | None = None,
) -> None:
    """23 develop images in three shards and 4 test images, two of a patient and visit: noise, or where a grain is
    given, patches, so many a side, which differ more to a deep network than two images of noise do."""
    shown = _SHOWN.get(instrument.name, {})
    samples = []
    drawn = make_images(DEVELOP + TEST)
    for number, pixels in enumerate(drawn if grain is None else drawn[:, : grain[0], : grain[1]]):
        buffer = io.BytesIO()
        Image.fromarray(pixels).resize((shape[1], shape[0])).save(buffer, "PNG")
        view = instrument.views[number % len(instrument.views)]
        sites = [instrument.site(name) for name in shown.get(view, instrument.site_names)]
        scores = {
            site.name: site.scores[number % len(site.scores)] if number % 5 or not instrument.unscored else None
            for site in sites
        }
        split = "develop" if number < DEVELOP else "test"
        samples.append(
            Sample(f"s{number:02d}", split, f"p{number // 2}", f"v{number // 2}", view, scores, buffer.getvalue())
        )
    write_dataset(
        store,
        DATASET,
        samples,
        instrument=instrument,
        counts={"develop": DEVELOP, "test": TEST},
        image_shape=(*shape, 1),
        shards={"develop": 3, "test": 1},
    )


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
    study = study_from_fields(fields, "small.yaml")
    dataset = read_dataset(store, DATASET)
    plan = make_plan(
        study,
        read_index(store, dataset),
        dataset=DATASET,
        dataset_digest=dataset.digest,
        instrument=dataset.instrument,
        weights_sha256=resolve_weights(store, study.model.weights),
        name=run,
    )
    publish_plan(store, plan)
    return run


def read_history(store: Store, run: str, trial: int, fold: int) -> tuple[list[dict[str, Any]], HistoryMetadata]:
    """The rows of a history without their times, and its metadata."""
    key = names.history_key(run, trial, fold)
    table = read_parquet(store.read(key), key)
    metadata = parse_document(HistoryMetadata, read_metadata_bytes(table.schema), key)
    return table.drop_columns("seconds").to_pylist(), metadata
