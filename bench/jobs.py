"""What the controller costs on a real API server: creating, finding and deleting 600 Jobs, and planning 10,000 folds.

    KUBECONFIG=... python bench/jobs.py [--jobs 600] [--namespace rustk]

Jobs are suspended, so that no pod is made. kubectl creates the same Jobs from a file in the same process; each way is
timed several times in turns, and the best of each counts, because the machine has other things to do.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rustk.cluster.cancel import cancel_run
from rustk.cluster.client import Cluster
from rustk.cluster.creating import create_jobs
from rustk.cluster.observe import list_jobs
from rustk.cluster.rendering import template_of
from rustk.cluster.submit import submit_run
from rustk.planning.manifests import Job, JobSource, render_jobs, to_yaml
from rustk.planning.plan import Plan, make_plan
from rustk.planning.resolving import resolve_study
from rustk.store import open_store
from rustk.store.runs import publish_plan
from rustk.vocabulary.settings import KubernetesSettings

IMAGE = "registry.example.org/rustk-worker@sha256:" + "0" * 64


def plan_of(folds: int, run: str) -> Plan:
    """A plan of this many folds on a cohort of 2,495 images."""
    import pyarrow as pa

    from rustk.vocabulary.labels import CORTICES
    from rustk.vocabulary.schemas import INDEX

    text = (
        "name: bench\nmodel: {weights: random}\nfolds: {scheme: shard, k: 10}\nsearch: {kind: random, "
        f"trials: {folds // 10}, parameters: {{model.dropout: {{low: 0, high: 0.5}}}}}}"
    )
    study = resolve_study(text, source="bench", read_base=lambda *_: ("", ""))
    columns = {
        "sample_id": [f"s{number}" for number in range(2495)],
        "split": ["develop"] * 2495,
        "view": ["ap", "lateral"] * 1247 + ["ap"],
        "shard": ["develop-00000-of-00001.tfrecord"] * 2495,
        "position": list(range(2495)),
        "image_sha256": ["0" * 64] * 2495,
    }
    empty = {field.name: [None] * 2495 for field in INDEX if field.name not in columns}
    assert set(CORTICES) <= set(empty)
    index = pa.table({field.name: {**columns, **empty}[field.name] for field in INDEX}, schema=INDEX)
    dataset = {"name": "bench", "digest": "0" * 64}
    return make_plan(study, dataset, index, {"name": "random", "sha256": None}, name=run)


def rendered(plan: Plan, namespace: str) -> list[Job]:
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
    return render_jobs(source, plan.tasks)


def settled(cluster: Cluster, run: str) -> None:
    """Wait until the cluster has taken notice of what was done to it."""
    while list_jobs(cluster, run):
        time.sleep(0.2)
    time.sleep(3)


def bench_cluster(cluster: Cluster, count: int, rounds: int) -> dict[str, float]:
    run = "bench-jobs"
    plan = plan_of(count, run)
    jobs = rendered(plan, cluster.namespace)
    best = dict.fromkeys(("create", "submit again", "cancel", "kubectl create -f"), float("inf"))
    with tempfile.TemporaryDirectory() as directory:
        store = open_store(directory)
        publish_plan(store, plan)
        file = Path(directory, "jobs.yaml")
        file.write_text(to_yaml(jobs))
        cancel_run(cluster, run)
        for _ in range(rounds):
            settled(cluster, run)
            began = time.perf_counter()
            made, _ = create_jobs(cluster, jobs)
            best["create"] = min(best["create"], time.perf_counter() - began)
            assert made == count, made
            time.sleep(3)
            began = time.perf_counter()
            again = submit_run(cluster, store, plan, jobs)
            best["submit again"] = min(best["submit again"], time.perf_counter() - began)
            assert again.created == 0
            assert again.decision.live == count
            began = time.perf_counter()
            cancelled = cancel_run(cluster, run)
            best["cancel"] = min(best["cancel"], time.perf_counter() - began)
            assert cancelled.jobs == count
            settled(cluster, run)
            began = time.perf_counter()
            subprocess.run(["kubectl", "create", "-f", str(file)], check=True, capture_output=True)
            best["kubectl create -f"] = min(best["kubectl create -f"], time.perf_counter() - began)
            cancel_run(cluster, run)
    return best


def bench_memory(folds: int) -> dict[str, float]:
    """In a process of its own: what it takes to plan and render, in seconds and MB at the peak."""
    script = (
        "import sys, time, json, resource; sys.path.insert(0, sys.argv[1]); from jobs import plan_of, rendered;"
        "began = time.perf_counter(); "
        f"jobs = rendered(plan_of({folds}, 'bench-memory'), 'rustk'); "
        "from rustk.planning.manifests import to_yaml; "
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
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    planned = bench_memory(10_000)
    print(
        f"10,000 folds planned and rendered: {planned['seconds']:.2f} s, peak {planned['peak_mb']:.0f} MB (limit 300)"
    )
    best = bench_cluster(Cluster(options.namespace), options.jobs, options.rounds)
    ratio = best["kubectl create -f"] / best["create"]
    print(f"create {options.jobs} Jobs:    {best['create']:.2f} s (limit 1.5)")
    print(f"kubectl create -f:  {best['kubectl create -f']:.2f} s: {ratio:.1f} times as long (wanted: 5)")
    print(f"submit again:       {best['submit again']:.2f} s (limit 1)")
    print(f"cancel {options.jobs} Jobs:    {best['cancel']:.2f} s (limit 2)")
    print(f"peak of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
