"""Real folds in real containers, undisturbed and disturbed: the numbers are the same."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from rustk.store import open_store
from rustk.store.documents import HistoryMetadata, parse_document
from rustk.vocabulary import names
from rustk.vocabulary.parquet import encode_parquet, read_metadata_bytes, read_parquet

from .conftest import FOLDS, Node, Workplace, eventually, kubectl, numbers
from .processes import worker_pids


@pytest.fixture(scope="module")
def undisturbed(workplace: Workplace) -> str:
    """A run that nothing happened to; its id."""
    workplace.write_settings()
    workplace.rustk("submit", workplace.study("undisturbed"), "--wait")
    return workplace.run_of("undisturbed")


@pytest.fixture(scope="module")
def expected(workplace: Workplace, undisturbed: str) -> str:
    return workplace.numbers(undisturbed)


@pytest.fixture
def running(workplace: Workplace, request: pytest.FixtureRequest) -> Iterator[str]:
    """A run of the same study under the test's name, with folds training; its id."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:30].rstrip("-")
    workplace.rustk("submit", workplace.study(name))
    run = workplace.run_of(name)
    eventually("a fold trains", lambda: worker_pids(run), 180)
    yield run
    workplace.rustk("cancel", run)


def running_pods(workplace: Workplace, run: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in workplace.pods(run) if pod["status"]["phase"] == "Running"]


def finish(workplace: Workplace, run: str) -> None:
    """Wait for a run; after at most one more submit it is complete."""
    if workplace.rustk("wait", run, "--timeout", "300", code=None).code:
        workplace.rustk("submit", f"{run.rpartition('-')[0]}.yaml", "--retry-failed", "--wait")
    assert workplace.status(run)["complete"]


def test_the_cluster_gives_the_numbers_of_one_machine(
    workplace: Workplace, undisturbed: str, expected: str, tmp_path: Path
) -> None:
    here = open_store(str(tmp_path / "store"))
    for entry in workplace.store.list("datasets/"):
        here.write(entry.key, workplace.store.read(entry.key))
    workplace.rustk("submit", "undisturbed.yaml", "--backend", "local", "--store", here.url)
    assert numbers(here, undisturbed) == expected


def test_status_and_runs_of_a_complete_run(workplace: Workplace, undisturbed: str) -> None:
    found = workplace.status(undisturbed)
    assert found["complete"]
    assert found["counts"]["done"] == FOLDS
    assert found["gpu_hours"] > 0
    assert found["gpu_hours_folds"] == FOLDS
    assert f"{FOLDS} done" in workplace.rustk("status", undisturbed).out
    (entry,) = [run for run in json.loads(workplace.rustk("runs", "--json").out) if run["run"] == undisturbed]
    assert (entry["done"], entry["folds"]) == (FOLDS, FOLDS)


def test_histories_name_the_image_they_were_made_by(workplace: Workplace, undisturbed: str) -> None:
    for key, data in workplace.histories(undisturbed).items():
        metadata = parse_document(HistoryMetadata, read_metadata_bytes(read_parquet(data, key).schema), key)
        assert metadata.digests["image"] == workplace.settings["image"]


def test_a_complete_run_is_left_alone(workplace: Workplace, undisturbed: str) -> None:
    kubectl("-n", workplace.namespace, "delete", "jobs", "-l", f"rustk.dev/run={undisturbed}")
    before = workplace.histories(undisturbed)
    again = workplace.rustk("submit", "undisturbed.yaml")
    assert "0 Jobs created" in again.out
    assert "is complete" in again.out
    assert workplace.histories(undisturbed) == before


def test_a_bounded_number_of_jobs_sees_the_run_through(workplace: Workplace) -> None:
    study = workplace.study("one-at-a-time", search=None)
    done = workplace.rustk("submit", study, "--max-live", "1", "--wait")
    assert "1 Job created" in done.out
    assert "is complete" in done.out
    assert len(workplace.histories(workplace.run_of("one-at-a-time"))) == 3


def test_aggregate_from_the_cluster_store(workplace: Workplace, undisturbed: str) -> None:
    workplace.rustk("aggregate", undisturbed)
    assert workplace.store.exists(f"runs/{undisturbed}/report/index.html")


def test_killed_workers(workplace: Workplace, running: str, expected: str, node: Node) -> None:
    (first, *rest) = worker_pids(running)
    os.kill(first, signal.SIGKILL)
    for other in rest[:1]:
        os.kill(other, signal.SIGTERM)
    tried = lambda: sum(job.get("status", {}).get("failed", 0) for job in workplace.jobs(running))  # noqa: E731
    eventually("the Job counts the killed pod", tried, 120)
    # And by way of the API: a pod deleted, as `kubectl drain` does.
    (pod, *_) = eventually("folds train again", lambda: running_pods(workplace, running), 120)
    kubectl("-n", workplace.namespace, "delete", "pod", pod)
    finish(workplace, running)
    assert workplace.numbers(running) == expected


def test_a_drained_node(workplace: Workplace, running: str, expected: str) -> None:
    (name,) = {pod["spec"]["nodeName"] for pod in workplace.pods(running) if pod["spec"].get("nodeName")}
    pods = f"--pod-selector=rustk.dev/run={running}"
    try:
        kubectl("drain", name, "--ignore-daemonsets", "--delete-emptydir-data", pods, "--timeout=120s")
    finally:
        kubectl("uncordon", name)
    finish(workplace, running)
    # An eviction is nobody's fault: no attempt was counted for it.
    assert not any(job["status"].get("failed") for job in workplace.jobs(running))
    assert workplace.numbers(running) == expected


def test_a_kubelet_that_stops_for_a_while(workplace: Workplace, running: str, expected: str, node: Node) -> None:
    node.kill("kubelet")
    time.sleep(60)
    node.up()
    finish(workplace, running)
    assert workplace.numbers(running) == expected


def test_an_api_server_that_dies(workplace: Workplace, running: str, expected: str, node: Node) -> None:
    waiting = workplace.start("wait", running, "--timeout", "300")
    watching = workplace.start("status", running, "--watch")
    time.sleep(5)
    node.kill("kube-apiserver")
    time.sleep(10)
    node.up()
    assert "is complete" in workplace.finish(waiting).out
    workplace.finish(watching)
    assert workplace.numbers(running) == expected


def test_an_s3_server_that_is_away(workplace: Workplace, running: str, expected: str, node: Node) -> None:
    watching = workplace.start("wait", running, "--timeout", "400")
    node.kill("s3")
    time.sleep(30)
    node.up()
    assert "is complete" in workplace.finish(watching).out
    assert workplace.numbers(running) == expected


def test_no_fold_is_trained_twice(workplace: Workplace, expected: str) -> None:
    """Jobs that are there although the history is: deleted and made anew, they find it and leave it."""
    study = workplace.study("no-fold-twice")
    rendered = workplace.rustk("submit", study, "--dry-run", "-o", "yaml").out  # all of them: nothing is done yet
    workplace.rustk("submit", study)
    run = workplace.run_of("no-fold-twice")
    eventually("a first history", lambda: workplace.histories(run), 300)
    done = workplace.histories(run)
    workplace.rustk("cancel", run)
    kubectl("create", "-f", "-", stdin=rendered)
    finish(workplace, run)
    after = workplace.histories(run)
    assert {key: after[key] for key in done} == done
    assert workplace.numbers(run) == expected


def test_batches_give_the_same_numbers(workplace: Workplace, expected: str) -> None:
    study = workplace.study("batched")
    assert "2 Jobs created" in workplace.rustk("submit", study, "--folds-per-job", "4", "--wait").out
    run = workplace.run_of("batched")
    assert workplace.numbers(run) == expected
    assert workplace.status(run)["gpu_hours_folds"] == FOLDS
    log = workplace.rustk("logs", run, "--trial", "0", "--fold", "1").out
    assert "trial=0 fold=1" in log
    assert "fold=0" not in log
    assert "fold=2" not in log


def test_a_batch_that_is_killed_goes_on_where_it_was(workplace: Workplace) -> None:
    longer = {"training": {"epochs": 150}}  # so that it is not over when it is to be killed
    workplace.rustk("submit", workplace.study("batch-whole", **longer), "--folds-per-job", "6", "--wait")
    expected = workplace.numbers(workplace.run_of("batch-whole"))
    workplace.rustk("submit", workplace.study("batch-killed", **longer), "--folds-per-job", "6")
    run = workplace.run_of("batch-killed")
    eventually("a first history", lambda: workplace.histories(run), 300)
    (pid, *_) = worker_pids(run)
    os.kill(pid, signal.SIGKILL)
    done = workplace.histories(run)
    assert 0 < len(done) < FOLDS
    finish(workplace, run)
    after = workplace.histories(run)
    assert {key: after[key] for key in done} == done
    assert workplace.numbers(run) == expected


def test_planned_batches_give_the_same_numbers(workplace: Workplace, expected: str) -> None:
    study = workplace.study("planned")
    said = workplace.rustk("submit", study, "--folds-per-job", "auto", "--max-live", "2", "--wait").out
    # Six folds are not a minute of work, so they are one Job, however many may run.
    assert "batches are planned for 2 Jobs at a time (max_live)" in said
    assert "1 Job created" in said
    assert workplace.numbers(workplace.run_of("planned")) == expected


def test_a_bad_fold_does_not_take_its_batch_along(workplace: Workplace, expected: str) -> None:
    workplace.write_settings(suspend=True)
    study = workplace.study("bad-fold")
    workplace.rustk("submit", study, "--folds-per-job", "6")
    workplace.write_settings()
    run = workplace.run_of("bad-fold")
    key = names.trials_key(run)
    good = workplace.store.read(key)
    trials = read_parquet(good, key).to_pandas()
    trials.loc[trials["trial"] == 0, "learning_rate"] = -1.0
    workplace.store.write(key, encode_parquet(pa.Table.from_pandas(trials, preserve_index=False)))
    (job,) = workplace.jobs(run)
    resume = ("-p", '{"spec": {"suspend": false}}')
    kubectl("-n", workplace.namespace, "patch", "job", job["metadata"]["name"], *resume)
    ended = workplace.rustk("wait", run, "--timeout", "300", code=1)
    assert "3 failed: trial 0 fold 0 (exit code 78: " in ended.err
    states = {(fold["trial"], fold["state"]) for fold in workplace.status(run)["unfinished"]}
    assert states == {(0, "failed")}
    assert len(workplace.store.list(names.failures_prefix(run))) == 3
    assert workplace.attempts(run, job["metadata"]["name"]) == ["exit 78 (Error)"]
    done = workplace.histories(run)
    assert len(done) == 3
    workplace.store.write(key, good)
    workplace.rustk("submit", study, "--folds-per-job", "6", "--retry-failed", "--wait")
    assert {key: workplace.histories(run)[key] for key in done} == done
    assert workplace.numbers(run) == expected


def test_revoked_keys(workplace: Workplace, expected: str) -> None:
    """Workers with wrong keys say so; with the right ones the run ends as it would have."""
    name = "revoked"
    secret = ("-n", workplace.namespace, "create", "secret", "generic", "revoked")
    kubectl(*secret, "--from-literal=AWS_ACCESS_KEY_ID=gone", "--from-literal=AWS_SECRET_ACCESS_KEY=gone")
    workplace.write_settings(secret="revoked", backoff_limit=0)
    workplace.rustk("submit", workplace.study(name))
    run = workplace.run_of(name)
    ended = workplace.rustk("wait", run, code=1)
    assert "exit code 75" in ended.err
    assert "access key" in ended.err
    workplace.write_settings()
    workplace.rustk("submit", f"{name}.yaml", "--retry-failed", "--wait")
    assert workplace.numbers(run) == expected
