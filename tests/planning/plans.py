"""Plans for tests, made from nothing but numbers."""

import numpy as np
import pyarrow as pa

from rustk.planning.plan import Plan, make_plan
from rustk.planning.resolving import resolve_study
from rustk.planning.study import Study
from rustk.vocabulary.labels import CORTICES
from rustk.vocabulary.schemas import INDEX


def study_of(text: str) -> Study:
    def no_base(name: str, extended_by: str) -> tuple[str, str]:
        raise AssertionError(f"{extended_by} extends {name}")

    return resolve_study(text, source="test.yaml", read_base=no_base)


def index_of(images: int, *, patients: int | None = None, seed: int = 0) -> pa.Table:
    """An index of `images` develop images of two views, with random scores, and as many test images as a tenth."""
    rng = np.random.default_rng(seed)
    count = images + images // 10
    whose = rng.integers(0, patients or max(images // 3, 1), count)
    rows = []
    for number in range(count):
        view = "ap" if number % 2 == 0 else "lateral"
        shown = ("medial", "lateral") if view == "ap" else ("anterior", "posterior")
        scores = {cortex: int(rng.integers(1, 5)) if cortex in shown else None for cortex in CORTICES}
        rows.append(
            {
                "sample_id": f"s{number:05d}",
                "split": "develop" if number < images else "test",
                "patient": f"p{whose[number]:04d}",
                "visit": None,
                "view": view,
                **scores,
                "shard": "develop-00000-of-00001.tfrecord",
                "position": number,
                "image_sha256": f"{number:064x}",
                "image_phash": None,
            }
        )
    return pa.Table.from_pylist(rows, schema=INDEX)


DATASET = {"name": "numbers", "digest": "d" * 64}
WEIGHTS = {"name": "random", "sha256": None}


def random_plan(
    *, trials: int, name: str | None = None, epochs: int = 3, images: int = 60, k: int = 3, scheme: str = "patient"
) -> Plan:
    study = study_of(
        f"""
        name: searched
        model: {{weights: random}}
        training: {{epochs: {epochs}}}
        folds: {{scheme: {scheme}, k: {k}}}
        search:
          kind: random
          trials: {trials}
          parameters:
            training.batch_size: {{low: 16, high: 2048, type: int}}
            model.dropout: {{low: 0, high: 0.5}}
        """
    )
    return make_plan(study, DATASET, index_of(images), WEIGHTS, name=name)
