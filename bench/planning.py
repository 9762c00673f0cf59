"""Planning a study of 10,000 folds on 2,490 images: seconds of work and peak memory, against importing pandas.

python bench/planning.py [trials]
"""

import resource
import subprocess
import sys
import tempfile
import time

import pyarrow as pa

from rustk.planning.plan import make_plan
from rustk.planning.resolving import resolve_study
from rustk.store import open_store
from rustk.store.runs import publish_plan
from rustk.vocabulary.instrument import load_instrument
from rustk.vocabulary.schemas import index_schema

INSTRUMENT = load_instrument()

STUDY = """
name: planned
model: {{weights: random}}
folds: {{scheme: patient, k: 10}}
search:
  kind: random
  trials: {trials}
  parameters:
    training.batch_size: {{low: 16, high: 2048, type: int}}
    model.dropout: {{low: 0, high: 0.5}}
"""


def index_of(images: int) -> pa.Table:
    """An index of develop images of two views, 2.6 a patient."""
    rows = []
    for number in range(images):
        shown = ("medial", "lateral") if number % 2 == 0 else ("anterior", "posterior")
        rows.append(
            {
                "sample_id": f"s{number:06d}",
                "split": "develop",
                "patient": f"p{int(number / 2.6):05d}",
                "visit": None,
                "view": ("ap", "lateral")[number % 2],
                **{cortex: number // 2 % 4 + 1 if cortex in shown else None for cortex in INSTRUMENT.site_names},
                "shard": "develop-00000-of-00001.tfrecord",
                "position": number,
                "image_sha256": f"{number:064x}",
                "image_phash": None,
            }
        )
    return pa.Table.from_pylist(rows, schema=index_schema(INSTRUMENT))


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    index = index_of(2490)

    def no_base(name: str, extended_by: str) -> tuple[str, str]:
        raise ValueError(f"{extended_by} extends {name}")

    begin = time.perf_counter()
    study = resolve_study(STUDY.format(trials=trials), source="bench", read_base=no_base)
    plan = make_plan(study, index, dataset="numbers", dataset_digest="d", instrument=INSTRUMENT, weights_sha256=None)
    with tempfile.TemporaryDirectory(prefix="rustk-bench-") as folder:
        store = open_store(folder)
        publish_plan(store, plan)
        written_bytes = sum(entry.size_bytes for entry in store.list(""))
    planned = time.perf_counter() - begin
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import pandas"], check=True)
    imported = time.perf_counter() - begin
    print(f"folds planned     {len(plan.tasks)}, {written_bytes / 1e6:.2f} MB of files")
    print(f"planning          {planned:.2f} s (at most 5), {peak_bytes / 1e6:.0f} MB at the peak (at most 300)")
    print(f"importing pandas  {imported:.2f} s; planning costs {planned / imported:.2f} times that")


if __name__ == "__main__":
    main()
