"""Plans for tests, made from nothing but numbers."""

import numpy as np
import pyarrow as pa

from rustk.planning.plan import Plan, make_plan
from rustk.planning.resolving import resolve_study
from rustk.planning.study import Study
from rustk.vocabulary.instrument import FROM_DATA, Instrument
from rustk.vocabulary.schemas import index_schema
from tests.instruments import MRUST

# Which view shows which cortex in these tests, where the instrument leaves that to the data.
_SHOWN = {"medial": "ap", "lateral": "ap", "anterior": "lateral", "posterior": "lateral"}

DIGEST = "d" * 64


def study_of(text: str) -> Study:
    def no_base(name: str, extended_by: str) -> tuple[str, str]:
        raise AssertionError(f"{extended_by} extends {name}")

    return resolve_study(text, source="test.yaml", read_base=no_base)


def index_of(images: int, *, patients: int | None = None, seed: int = 0, instrument: Instrument = MRUST) -> pa.Table:
    """An index of `images` develop images, views in turn, with random scores, and as many test images as a tenth."""
    rng = np.random.default_rng(seed)
    count = images + images // 10
    whose = rng.integers(0, patients or max(images // 3, 1), count)
    rows = []
    for number in range(count):
        view = instrument.views[number % len(instrument.views)]
        scores = {}
        for site in instrument.sites:
            shown = _SHOWN.get(site.name, view) == view if site.views == FROM_DATA else view in site.views
            scores[site.name] = int(site.scores[rng.integers(len(site.scores))]) if shown else None
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
    return pa.Table.from_pylist(rows, schema=index_schema(instrument))


def plan_of(study: Study, *, images: int = 60, name: str | None = None, instrument: Instrument = MRUST) -> Plan:
    """The study planned on `index_of(images)`, with random weights."""
    return make_plan(
        study,
        index_of(images, instrument=instrument),
        dataset="numbers",
        dataset_digest=DIGEST,
        instrument=instrument,
        weights_sha256=None,
        name=name,
    )


def random_plan(
    *, trials: int, name: str | None = None, epochs: int = 3, images: int = 60, k: int = 3, scheme: str = "patient"
) -> Plan:
    """A random search of `trials` trials, planned on `index_of(images)`."""
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
    return plan_of(study, images=images, name=name)
