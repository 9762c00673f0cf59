"""What the controller costs on a real API server: creating, finding and deleting 600 Jobs, and planning 10,000 folds.

    KUBECONFIG=... python bench/jobs.py [--jobs 600] [--namespace rustk]

Jobs are suspended, so that no pod is made. kubectl creates the same Jobs from a file; each way is timed several times,
in turns, and the ratio is taken round by round, because the speed of a machine drifts.

Where the API server runs on the same cores, its own work is most of it, whoever asks: on two cores the server, etcd and
the controller manager took 2.2 s of CPU for 600 Jobs and rustk 0.4 s, so that no client could end before 1.1 s, a third
of what kubectl took. This process's CPU is printed beside the time.
"""

import argparse
import contextlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rustk.backends.kubernetes.cancel import cancel_run
from rustk.backends.kubernetes.client import Cluster
from rustk.backends.kubernetes.creating import create_jobs
from rustk.backends.kubernetes.listing import list_jobs
from rustk.backends.kubernetes.manifests import Job, JobSource, render_jobs, to_yaml
from rustk.backends.kubernetes.rendering import template_of
from rustk.backends.kubernetes.submit import submit_run
from rustk.planning.batches import Batch, make_batches
from rustk.planning.plan import Plan, make_plan
from rustk.planning.resolving import resolve_study
from rustk.searching.run_search import RunSearch
from rustk.store import open_store
from rustk.store.runs import publish_plan
from rustk.vocabulary.settings import KubernetesSettings

IMAGE = "registry.example.org/rustk-worker@sha256:" + "0" * 64


def plan_of(folds: int, run: str) -> Plan:
    """A plan of this many folds on a cohort of 2,495 images."""
    import pyarrow as pa

    from rustk.vocabulary.instrument import load_instrument
    from rustk.vocabulary.schemas import index_schema

    text = (
        "name: bench\nmodel: {weights: random}\nfolds: {scheme: shard, k: 10}\nsearch: {kind: random, "
        f"trials: {folds // 10}, parameters: {{model.dropout: {{low: 0, high: 0.5}}}}}}"
    )
    study = resolve_study(text, source="bench", read_base=lambda *_: ("", ""))
    instrument = load_instrument()
    schema = index_schema(instrument)
    columns = {
        "sample_id": [f"s{number}" for number in range(2495)],
        "split": ["develop"] * 2495,
        "view": (list(instrument.views) * 2495)[:2495],
        "shard": ["develop-00000-of-00001.tfrecord"] * 2495,
        "position": list(range(2495)),
        "image_sha256": ["0" * 64] * 2495,
    }
    index = pa.table({name: columns.get(name, [None] * 2495) for name in schema.names}, schema=schema)
    return make_plan(
        study, index, dataset="bench", dataset_digest="0" * 64, instrument=instrument, weights_sha256=None, name=run
    )


def rendered(plan: Plan, namespace: str, batches: Sequence[Batch] | None = None) -> list[Job]:
    settings = KubernetesSettings(namespace=namespace, suspend=True)
    source = JobSource(
        template=template_of(settings),
        settings=settings,
        run=plan.run,
        study=plan.study.name,
        store_url="s3://bucket/prefix",
        image=IMAGE,
        version="0",
    )
    return render_jobs(source, make_batches(plan.tasks) if batches is None else batches)


def settled(cluster: Cluster, run: str) -> None:
    """Wait until the cluster has taken notice of what was done to it."""
    while list_jobs(cluster, run):
        time.sleep(0.2)
    time.sleep(3)


def bench_cluster(cluster: Cluster, count: int, rounds: int) -> dict[str, list[float]]:
    """What each round took, in seconds."""
    run = "bench-jobs"
    plan = plan_of(count, run)
    jobs = rendered(plan, cluster.namespace)
    taken: dict[str, list[float]] = defaultdict(list)

    @contextlib.contextmanager
    def timed(what: str) -> Iterator[None]:
        began, cpu = time.perf_counter(), time.process_time()
        yield
        taken[what].append(time.perf_counter() - began)
        taken[f"{what}, CPU"].append(time.process_time() - cpu)

    with tempfile.TemporaryDirectory() as directory:
        store = open_store(directory)
        publish_plan(store, plan)
        search = RunSearch(store, plan)
        file = Path(directory, "jobs.yaml")
        file.write_text(to_yaml(jobs))
        cancel_run(cluster, run)
        for _ in range(rounds):
            settled(cluster, run)
            with timed("create"):
                made, _ = create_jobs(cluster, jobs)
            assert made == count, made
            time.sleep(3)
            with timed("submit again"):
                again = submit_run(cluster, store, search, lambda batches: rendered(plan, cluster.namespace, batches))
            assert again.created == 0
            assert again.live == count
            with timed("cancel"):
                cancelled = cancel_run(cluster, run)
            assert cancelled.jobs == count
            settled(cluster, run)
            with timed("kubectl create -f"):
                subprocess.run(["kubectl", "create", "-f", str(file)], check=True, capture_output=True)
            cancel_run(cluster, run)
    return taken


def bench_memory(folds: int) -> dict[str, float]:
    """In a process of its own: what it takes to plan and render, in seconds and MB at the peak."""
    script = (
        "import sys, time, json, resource; sys.path.insert(0, sys.argv[1]); from jobs import plan_of, rendered;"
        "began = time.perf_counter(); "
        f"jobs = rendered(plan_of({folds}, 'bench-memory'), 'rustk'); "
        "from rustk.backends.kubernetes.manifests import to_yaml; "
        "print(json.dumps({'jobs': len(jobs), 'seconds': time.perf_counter() - began, "
        "'peak_mb': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(Path(__file__).parent)], check=True, capture_output=True)
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=600)
    parser.add_argument("--namespace", default="rustk")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    planned = bench_memory(10_000)
    print(
        f"10,000 folds planned and rendered: {planned['seconds']:.2f} s, peak {planned['peak_mb']:.0f} MB (limit 300)"
    )
    taken = bench_cluster(Cluster(options.namespace), options.jobs, options.rounds)
    ratios = [slow / quick for slow, quick in zip(taken["kubectl create -f"], taken["create"], strict=True)]
    print(f"{options.jobs} Jobs, {options.rounds} rounds          median   best  worst")
    for what, limit in (
        ("create", 2.0),
        ("create, CPU", None),
        ("submit again", 1.0),
        ("cancel", 2.0),
        ("kubectl create -f", None),
    ):
        print(f"{what:20} seconds  {_spread(taken[what])}" + (f"  (limit {limit})" if limit else ""))
    print(f"kubectl / create     ratio    {_spread(ratios, best=max)}  (wanted: 3)")
    print(f"peak of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def _spread(values: list[float], best: Callable[[list[float]], float] = min) -> str:
    worst = max if best is min else min
    return f"{statistics.median(values):6.2f} {best(values):6.2f} {worst(values):6.2f}"


if __name__ == "__main__":
    main()
