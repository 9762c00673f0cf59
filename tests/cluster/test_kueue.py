"""Runs in queues of Kueue's. Opt-in: RUSTK_TEST_KUEUE is the command that starts Kueue, `--stop` added ends it."""

import copy
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from .conftest import FOLDS, ROOT, Workplace, eventually, kubectl

Standin = Callable[[str], None]


class Queues:
    """ClusterQueues and LocalQueues made from k8s/examples/kueue.yaml, under names of this session's."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._example = list(yaml.safe_load_all((ROOT / "k8s" / "examples" / "kueue.yaml").read_text()))
        self._made: list[tuple[str, str]] = []

    def make(self, name: str, gpus: int, cohort: str | None = None) -> str:
        """A LocalQueue with its own ClusterQueue, of so many GPUs, in a cohort of its own by default. Its name."""
        flavor, cluster_queue, local_queue = copy.deepcopy(self._example)
        own = f"{self.namespace}-{name}"
        flavor["metadata"]["name"] = self.namespace
        spec = cluster_queue["spec"]
        cluster_queue["metadata"]["name"] = own
        spec["cohortName"] = f"{self.namespace}-{cohort or name}"
        (group,) = spec["resourceGroups"]
        group["flavors"][0]["name"] = self.namespace
        for quota in group["flavors"][0]["resources"]:
            if quota["name"] == "nvidia.com/gpu":
                quota["nominalQuota"] = gpus
        local_queue["metadata"] = {"name": name, "namespace": self.namespace}
        local_queue["spec"]["clusterQueue"] = own
        for manifest in (flavor, cluster_queue, local_queue):
            kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
        self._made += [("localqueue", name), ("clusterqueue", own)]
        return name

    def remove(self) -> None:
        kubectl("-n", self.namespace, "delete", "jobs", "--all")
        # Kueue alone takes its finalizers from them.
        left = lambda: kubectl("-n", self.namespace, "get", "workloads.kueue.x-k8s.io", "-o", "name")  # noqa: E731
        eventually("the workloads are gone", lambda: not left())
        for kind, name in self._made:
            kubectl("-n", self.namespace, "delete", kind, name)
        kubectl("delete", "resourceflavor", self.namespace)


@pytest.fixture(scope="module")
def queues(namespace: str) -> Iterator[Queues]:
    command = os.environ.get("RUSTK_TEST_KUEUE")
    if not command:
        pytest.skip("set RUSTK_TEST_KUEUE to the command that starts Kueue")
    subprocess.run(command, shell=True, check=True, capture_output=True)
    made = Queues(namespace)
    try:
        yield made
        made.remove()
    finally:
        subprocess.run(f"{command} --stop", shell=True, check=True, capture_output=True)


@pytest.fixture
def settings_again(workplace: Workplace) -> Iterator[None]:
    yield
    workplace.write_settings()


@pytest.fixture(scope="module")
def expected(workplace: Workplace) -> str:
    """The numbers of a run that no queue had to do with."""
    workplace.write_settings()
    workplace.rustk("submit", workplace.study("unqueued"), "--folds-per-job", "3", "--wait")
    return workplace.numbers(workplace.run_of("unqueued"))


pytestmark = pytest.mark.usefixtures("settings_again")


def running(workplace: Workplace, run: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in workplace.pods(run) if pod["status"]["phase"] == "Running"]


def suspended(workplace: Workplace, run: str) -> list[dict[str, Any]]:
    return [job for job in workplace.jobs(run) if job["spec"]["suspend"]]


def test_the_example_is_taken(queues: Queues) -> None:
    for manifest in yaml.safe_load_all((ROOT / "k8s" / "examples" / "kueue.yaml").read_text()):
        if "namespace" in manifest["metadata"]:
            manifest["metadata"]["namespace"] = queues.namespace
        assert "created" in kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest))


def test_a_run_waits_for_quota_and_ends_as_one_without_a_queue(
    workplace: Workplace, queues: Queues, expected: str
) -> None:
    queue = queues.make("waits", 1)
    workplace.write_settings(queue=queue)
    workplace.rustk("submit", workplace.study("queued"))
    run = workplace.run_of("queued")
    eventually("the first fold is admitted", lambda: len(suspended(workplace, run)) == FOLDS - 1)
    waits = eventually(
        "the queue's own words",
        lambda: [f["reason"] for f in workplace.status(run)["unfinished"] if "insufficient" in f["reason"]],
    )
    assert waits[0].startswith(f"in queue {queue}: couldn't assign flavors"), waits
    assert "nvidia.com/gpu" in waits[0]
    # Grouped, whatever numbers and names they give.
    (line,) = [line for line in workplace.rustk("status", run).out.splitlines() if "insufficient" in line]
    assert "pending: in queue" in line
    assert "is complete" in workplace.rustk("wait", run, "--timeout", "600").out
    assert workplace.numbers(run) == expected


def test_two_runs_share_a_cohort(workplace: Workplace, queues: Queues, standin: Standin) -> None:
    """Each of two queues has one GPU: the first run takes both, and gives one back when the second comes."""
    runs = {}
    names = [queues.make(name, 1, cohort="shared") for name in ("one", "two")]
    standin("trap 'exit 143' TERM; sleep 600 & wait")
    quick = {"template": "standin.yaml", "gpus": 1, "cpu": "10m", "memory": "32Mi"}
    for name in names:
        workplace.write_settings(**quick, queue=name)
        workplace.rustk("submit", workplace.study(f"shares-{name}"))
        runs[name] = workplace.run_of(f"shares-{name}")
        if name == "one":
            eventually("it borrows", lambda: len(running(workplace, runs["one"])) == 2)
    shared = lambda: [len(running(workplace, run)) for run in runs.values()] == [1, 1]  # noqa: E731
    eventually("each run has its share", shared)
    # Nobody's fault, so no attempt was counted.
    assert not any(job["status"].get("failed") for job in workplace.jobs(runs["one"]))
    workplace.write_settings()
    for run in runs.values():
        workplace.rustk("cancel", run)


def test_a_run_of_higher_priority_goes_first(workplace: Workplace, queues: Queues) -> None:
    longer = {"training": {"epochs": 150}}  # so that it is not over when the other one comes
    workplace.write_settings()
    workplace.rustk("submit", workplace.study("unpreempted", **longer), "--folds-per-job", "3", "--wait")
    expected = workplace.numbers(workplace.run_of("unpreempted"))
    queue = queues.make("ranks", 1)
    urgent = f"{queues.namespace}-urgent"
    kubectl("create", "priorityclass", urgent, "--value=1000", "--preemption-policy=Never")
    try:
        workplace.write_settings(queue=queue)
        workplace.rustk("submit", workplace.study("patient", **longer), "--folds-per-job", "6")
        low = workplace.run_of("patient")
        eventually("a first history", lambda: workplace.histories(low), 300)
        workplace.write_settings(queue=queue, priority_class=urgent)
        workplace.rustk("submit", workplace.study("urgent", **longer), "--folds-per-job", "6")
        high = workplace.run_of("urgent")
        eventually("it is preempted", lambda: suspended(workplace, low), 120)
        done = workplace.histories(low)
        assert 0 < len(done) < FOLDS
        workplace.write_settings()
        assert "is complete" in workplace.rustk("wait", high, "--timeout", "300").out
        assert "is complete" in workplace.rustk("wait", low, "--timeout", "300").out
        after = workplace.histories(low)
        assert {key: after[key] for key in done} == done
        assert workplace.numbers(low) == workplace.numbers(high) == expected
    finally:
        kubectl("delete", "priorityclass", urgent)
