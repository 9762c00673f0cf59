"""A run of ten thousand folds on simulated nodes: submitted, watched, disturbed, waited for, and nothing lost or twice.

    KUBECONFIG=... AWS_ENDPOINT_URL_S3=... python bench/cluster.py --folds 10000 --max-live 400 [--folds-per-job 20]

Needs KWOK's simulated nodes (label type=kwok), whose pods run until they are ended: a process here stands in for their
workers. It writes the histories, ends the pods, and has 1 % of first attempts end otherwise: killed (137), with a bad
fold (65), or evicted. Then it prints what each command took, in seconds, memory and requests, as JSON in the end; it
fails if a fold was lost, or trained twice, or if a finished run was not left alone.
"""

import argparse
import contextlib
import json
import os
import queue
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
K = 10
FATES = (("killed", 0.004), ("bad", 0.003), ("evicted", 0.003))
IMAGE = "registry.example.org/rustk-worker@sha256:" + "0" * 64
STUDY = """
name: {name}
model: {{weights: random, head: [16]}}
training: {{epochs: 5}}
folds: {{scheme: shard, k: {k}}}
search: {{kind: random, trials: {trials}, parameters: {{model.dropout: {{low: 0, high: 0.5}}}}}}
"""


class Workers:
    """Stands in for the workers of a run's pods: a pod that runs trains its folds at once, or meets its fate."""

    def __init__(self, namespace: str, store_url: str, run: str, seed: int, threads: int = 16) -> None:
        from rustk.backends.kubernetes.client import Cluster
        from rustk.store import open_store

        self._cluster = Cluster(namespace)
        self._store = open_store(store_url)
        self._run = run
        self._seed = seed
        self._handled: set[str] = set()
        self._stopped = threading.Event()
        self._waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._watch, daemon=True)]
        self._threads += [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        self._lock = threading.Lock()
        self._attempts: Counter[str] = Counter()
        self.trained: Counter[tuple[int, int]] = Counter()
        self.fates: Counter[str] = Counter()
        self.faults: list[str] = []

    def __enter__(self) -> "Workers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        from rustk.backends.kubernetes.errors import Expired, Unreachable

        selector = f"rustk.dev/run={self._run},app.kubernetes.io/component=fold"
        while not self._stopped.is_set():
            with contextlib.suppress(Expired, Unreachable):
                pods, version = self._cluster.list_objects(
                    self._cluster.core("pods"), asked="list pods", selector=selector, fields="status.phase=Running"
                )
                for pod in pods:
                    self._take(pod)
                for event in self._cluster.watch(
                    self._cluster.core("pods"), asked="watch pods", version=version, selector=selector
                ):
                    if event["type"] in ("ADDED", "MODIFIED"):
                        self._take(event["object"])

    def _take(self, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        is_running = pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        if is_running and uid not in self._handled:
            self._handled.add(uid)
            self._waiting.put(pod)

    def _work(self) -> None:
        from rustk.vocabulary.errors import RustkError

        while not self._stopped.is_set():
            with contextlib.suppress(queue.Empty):
                pod = self._waiting.get(timeout=0.5)
                try:
                    self._train(pod)
                except RustkError as error:
                    self.faults.append(str(error))

    def _train(self, pod: dict[str, Any]) -> None:
        from rustk.store.documents import Failure, write_document
        from rustk.vocabulary import names

        arguments = pod["spec"]["containers"][0]["args"]
        tasks = [arguments[at + 1] for at, word in enumerate(arguments) if word == "--task"]
        failed = 0
        for task in tasks:
            trial, fold = map(int, task.split("/"))
            if self._store.exists(names.history_key(self._run, trial, fold)):
                continue
            fate = self._fate(task)
            if fate == "killed":
                self._end(pod, 137)
                return
            if fate == "evicted":
                self._evict(pod)
                return
            if fate == "bad":
                record = Failure(trial=trial, fold=fold, exit_code=65, message="the shard is corrupt")
                write_document(self._store, names.failure_key(self._run, trial, fold), record)
                failed += 1
                continue
            with self._lock:
                self.trained[trial, fold] += 1
            self._store.write(names.history_key(self._run, trial, fold), history(self._run, trial, fold))
        self._end(pod, 65 if failed else 0)

    def _fate(self, task: str) -> str:
        """How the first attempt at a fold ends; later ones end well."""
        with self._lock:
            self._attempts[task] += 1
            if self._attempts[task] > 1:
                return ""
        drawn = random.Random(f"{self._seed} {task}").random()
        for fate, share in FATES:
            if drawn < share:
                with self._lock:
                    self.fates[fate] += 1
                return fate
            drawn -= share
        return ""

    def _end(self, pod: dict[str, Any], code: int) -> None:
        from rustk.backends.kubernetes.client import encode
        from rustk.backends.kubernetes.errors import Conflict, NotFound

        span = {
            "startedAt": pod["status"]["startTime"],
            "finishedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        ended = {"exitCode": code, "reason": "Completed" if code == 0 else "Error", **span}
        (status,) = pod["status"]["containerStatuses"]
        pod["status"]["phase"] = "Failed" if code else "Succeeded"
        pod["status"]["containerStatuses"] = [
            {**status, "ready": False, "started": False, "state": {"terminated": ended}}
        ]
        pod["metadata"]["resourceVersion"] = ""  # whatever else has changed of it meanwhile
        name = pod["metadata"]["name"]
        path = self._cluster.core("pods", name) + "/status"
        body = encode({"apiVersion": "v1", "kind": "Pod", **pod})
        with contextlib.suppress(NotFound, Conflict):  # its Job was cancelled
            self._cluster.request("PUT", path, asked=f"end pod {name}", body=body)

    def _evict(self, pod: dict[str, Any]) -> None:
        from rustk.backends.kubernetes.client import encode
        from rustk.backends.kubernetes.errors import NotFound

        name = pod["metadata"]["name"]
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        with contextlib.suppress(NotFound):
            path = self._cluster.core("pods", name) + "/eviction"
            self._cluster.request("POST", path, asked=f"evict pod {name}", body=encode(eviction))


def history(run: str, trial: int, fold: int) -> bytes:
    """A history as a worker writes it, of made-up numbers that depend on nothing but the fold."""
    import numpy as np
    import pyarrow as pa

    from rustk.store.documents import HistoryMetadata, encode_document
    from rustk.vocabulary import schemas
    from rustk.vocabulary.parquet import encode_parquet, with_metadata

    epochs = np.arange(1, 6, dtype=np.int32)
    rising = 0.5 + 0.3 * (1 - np.exp(-0.3 * epochs)) + np.random.default_rng((trial, fold)).normal(0, 0.01, 5)
    columns = dict.fromkeys((*schemas.METRICS, *schemas.VAL_METRICS), rising)
    metadata = HistoryMetadata(
        run=run,
        trial=trial,
        fold=fold,
        outcome="completed",
        hyperparameters={"learning_rate": 1e-3, "epsilon": 1e-7},
        in_effect={"batch_size": 64},
    )
    schema = with_metadata(schemas.HISTORY, encode_document(metadata))
    return encode_parquet(pa.table({"epoch": epochs, **columns, "seconds": rising}, schema=schema))


MEASURED = """
import json, os, resource
from rustk.backends.kubernetes.client import Cluster
from rustk.cli.app import main
counted = {}
answered = Cluster._answered
def counting(self, method, path, *rest, **named):
    counted[method] = counted.get(method, 0) + 1
    return answered(self, method, path, *rest, **named)
Cluster._answered = counting
try:
    main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    # ru_maxrss would be the parent's, where that is larger.
    peak_kb = int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])
    found = {"cpu_seconds": used.ru_utime + used.ru_stime, "peak_mb": peak_kb / 1024, "requests": counted}
    open(os.environ["BENCH_MEASURED"], "w").write(json.dumps(found))
"""


class Place:
    """A directory with a rustk.toml, a Job template for simulated nodes, and a study."""

    def __init__(self, directory: Path, options: argparse.Namespace) -> None:
        self.directory = directory
        self.namespace = options.namespace
        self.store_url = f"s3://{os.environ.get('RUSTK_TEST_BUCKET', 'rustk')}/bench/{options.namespace}"
        template = yaml.safe_load((ROOT / "k8s" / "fold-job.yaml").read_text())
        pod = template["spec"]["template"]
        pod["metadata"] = {"annotations": {"testnode/seconds": "86400"}}
        pod["spec"]["nodeSelector"] = {"type": "kwok"}
        pod["spec"]["tolerations"].append({"key": "kwok.x-k8s.io/node", "operator": "Exists"})
        pod["spec"].pop("serviceAccountName")
        (directory / "template.yaml").write_text(yaml.safe_dump(template))
        batches = f"folds_per_job = {options.folds_per_job}\n" if options.folds_per_job > 1 else ""
        (directory / "rustk.toml").write_text(
            f'store = "{self.store_url}"\nbackend = "kubernetes"\n[kubernetes]\nnamespace = "{self.namespace}"\n'
            f'image = "{IMAGE}"\ntemplate = "template.yaml"\nsecret = ""\nmax_live = {options.max_live}\n{batches}'
        )
        study = STUDY.format(name="scale", k=K, trials=max(1, options.folds // K))
        (directory / "scale.yaml").write_text(study)

    def rustk(self, *arguments: str, code: int | None = 0) -> dict[str, Any]:
        """Run a command; what it took from its start to its exit, and what it said.

        Fails unless it exits with `code` (None: any).
        """
        measured = self.directory / "measured.json"
        measured.unlink(missing_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "BENCH_MEASURED": str(measured)}
        command = [sys.executable, "-c", MEASURED, *arguments]
        began = time.perf_counter()
        done = subprocess.run(command, cwd=self.directory, env=environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - began
        if code is not None and done.returncode != code:
            raise SystemExit(f"rustk {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        took: dict[str, Any] = json.loads(measured.read_text())
        return {**took, "seconds": seconds, "code": done.returncode, "out": done.stdout, "err": done.stderr}


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    return subprocess.run(["kubectl", *arguments], input=stdin, capture_output=True, text=True, check=True).stdout


def server_requests() -> Counter[str]:
    """How many requests the API server has answered since it started, by verb; those of all its clients."""
    found: Counter[str] = Counter()
    for line in kubectl("get", "--raw", "/metrics").splitlines():
        if line.startswith("apiserver_request_total{"):
            verb = line.partition('verb="')[2].partition('"')[0]
            found[verb] += int(float(line.rpartition(" ")[2]))
    return found


@contextlib.contextmanager
def namespace(name: str, keep: bool) -> Iterator[None]:
    kubectl("create", "namespace", name)
    try:
        yield
    finally:
        if not keep:
            kubectl("delete", "namespace", name, "--wait=false")


def brief(took: dict[str, Any]) -> dict[str, Any]:
    kept = {name: round(took[name], 2) for name in ("seconds", "cpu_seconds", "peak_mb")}
    return {**kept, "requests": sum(took["requests"].values())}


def bench(place: Place, options: argparse.Namespace) -> dict[str, Any]:
    from rustk.store import open_store

    store = open_store(place.store_url)
    place.rustk("phantom", "--images", "48", "--size", "96", "--name", "small")
    run = json.loads(place.rustk("plan", "scale.yaml", "--json")["out"])["run"]
    result: dict[str, Any] = {"folds": max(1, options.folds // K) * K, "max_live": options.max_live}
    result["folds_per_job"] = options.folds_per_job
    before, began = server_requests(), time.perf_counter()
    statuses: list[dict[str, Any]] = []
    with Workers(place.namespace, place.store_url, run, options.seed) as workers, ThreadPoolExecutor(1) as threads:
        submitted = place.rustk("submit", "scale.yaml")
        result["submit"] = brief(submitted)
        waiting = threads.submit(place.rustk, "wait", run, code=None)
        while not waiting.done():
            time.sleep(options.look_every)
            statuses.append(looked := place.rustk("status", run))
            print("\n".join(looked["out"].splitlines()[:12]), f"({looked['seconds']:.1f} s)", flush=True)
        result["wait"] = brief(waiting.result())
        result["wait"]["said"] = waiting.result()["err"][:200]
        # The folds with bad data have failed for good, and are told apart from those that were merely interrupted.
        found = json.loads(place.rustk("status", run, "--json")["out"])
        result["counts"] = found["counts"]
        if not found["complete"]:
            again = place.rustk("submit", "scale.yaml", "--retry-failed", "--wait", code=None)
            result["retry"] = {**brief(again), "code": again["code"], "said": again["err"][:300]}
        result["all_seconds"] = round(time.perf_counter() - began, 1)
        used = server_requests() - before
        result["server_requests_a_fold"] = round(used.total() / result["folds"], 2)
        result["server_requests"] = dict(used)
        result["status_seconds"] = round(statistics.median(one["seconds"] for one in statuses), 2)
        result["status_seconds_at_most"] = round(max(one["seconds"] for one in statuses), 2)
        result["status_lines"] = max(len(one["out"].splitlines()) for one in statuses)
        result["fates"] = dict(workers.fates)
        result["trained_once"] = sum(count == 1 for count in workers.trained.values())
        result["trained_twice"] = sum(count > 1 for count in workers.trained.values())
        result["faults"] = workers.faults[:5]
    again = place.rustk("submit", "scale.yaml")
    result["finished_submit"] = brief(again)
    result["finished_submit_writes"] = sum(
        again["requests"].get(verb, 0) for verb in ("POST", "PUT", "PATCH", "DELETE")
    )
    time.sleep(options.look_every)  # until the cluster has come to rest
    looks = sorted((place.rustk("status", run) for _ in range(5)), key=lambda look: look["seconds"])
    result["finished_status"] = brief(looks[len(looks) // 2])
    result["histories"] = len(store.list(f"runs/{run}/histories/"))
    result["aggregate"] = brief(place.rustk("aggregate", run))
    if not options.keep:
        result["cancel"] = brief(place.rustk("cancel", run))
    return result


def faults_of(result: dict[str, Any]) -> list[str]:
    """What must not be, whatever the machine's speed."""
    folds = result["folds"]
    wrong = [
        (result["histories"] != folds, f"{result['histories']} histories of {folds} folds"),
        (result["trained_once"] != folds, f"{result['trained_once']} of {folds} folds were trained once"),
        (result["trained_twice"] > 0, f"{result['trained_twice']} folds were trained twice"),
        (
            result["finished_submit_writes"] > 0,
            f"a finished run was written to {result['finished_submit_writes']} times",
        ),
        (bool(result["faults"]), f"the workers' stand-in failed: {result['faults']}"),
        (result["status_lines"] > 60, f"status printed {result['status_lines']} lines"),
    ]
    return [said for is_wrong, said in wrong if is_wrong]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, default=1000)
    parser.add_argument("--max-live", type=int, default=400)
    parser.add_argument("--folds-per-job", type=int, default=1)
    parser.add_argument("--namespace", default="rustk-bench")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--look-every", type=float, default=10.0, help="seconds between two looks at the status")
    parser.add_argument("--keep", action="store_true", help="leave Jobs and store as they are in the end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, namespace(options.namespace, options.keep):
        place = Place(Path(directory), options)
        result = bench(place, options)
        from rustk.store import open_store

        store = open_store(place.store_url)
        for entry in store.list("") if not options.keep else ():
            store.delete(entry.key)
    result["peak_mb_of_this_process"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(result, indent=1))
    if faults := faults_of(result):
        raise SystemExit("; ".join(faults))


if __name__ == "__main__":
    main()
