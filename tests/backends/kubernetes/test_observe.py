from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from rustk.backends.kubernetes import observe
from rustk.backends.kubernetes.client import Cluster
from rustk.backends.kubernetes.listing import slim_job, slim_pod
from rustk.backends.kubernetes.observe import Waits, jobs_by_task, last_words, live_folds, observed, waits_for
from rustk.planning.progress import LiveFold

from .api import Namespace
from .conftest import Server

NOW = datetime(2025, 1, 1, 12, tzinfo=UTC)
LABELS = {"rustk.dev/run": "r", "rustk.dev/trial": "3", "rustk.dev/fold": "1"}
POD_LABELS = {**LABELS, "batch.kubernetes.io/job-name": "r-t0003-f01"}


def job(*conditions: dict[str, str], suspend: bool = False, failed: int = 0, **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "r-t0003-f01", "labels": LABELS | labels},
        "spec": {"suspend": suspend},
        "status": {"conditions": [{"status": "True", **c} for c in conditions], "failed": failed},
    }


def pod(phase: str, state: dict[str, Any] | None = None, created: int = 0, **status: Any) -> dict[str, Any]:
    statuses = [{"name": "fold", "state": state}] if state is not None else []
    return {
        "metadata": {"name": f"p{created}", "labels": POD_LABELS, "creationTimestamp": f"2025-01-01T11:0{created}:00Z"},
        "spec": {
            "containers": [{"name": "fold", "resources": {"limits": {"memory": "1Gi", "nvidia.com/gpu": "2"}}}],
            "nodeName": "n" if state is not None else None,
        },
        "status": {"phase": phase, "containerStatuses": statuses, **status},
    }


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    span = {"startedAt": "2025-01-01T11:00:00Z", "finishedAt": "2025-01-01T11:30:00Z"}
    return {"terminated": {"exitCode": code, "message": message, "reason": reason, **span}}


def seen(
    found: dict[str, Any],
    *pods: dict[str, Any],
    events: dict[str, str] | None = None,
    queue: dict[str, str] | None = None,
) -> tuple[str, str]:
    # As they are kept, so that nothing is read that is not.
    kept = [slim_pod(pod) for pod in pods]
    waits = Waits(lambda: events or {}, lambda: queue or {})
    (fold,) = observed([slim_job(found)], kept, "nvidia.com/gpu", NOW, waits)
    assert (fold.trial, fold.fold) == (3, 1)
    return fold.state, fold.reason


def test_a_running_fold() -> None:
    assert seen(job(), pod("Running", {"running": {"startedAt": "2025-01-01T11:00:00Z"}})) == ("running", "")


def test_the_schedulers_message() -> None:
    conditions = [
        {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 Insufficient gpu."}
    ]
    assert seen(job(), pod("Pending", conditions=conditions)) == (
        "pending",
        "0/1 nodes are available: 1 Insufficient gpu.",
    )


@pytest.mark.parametrize(
    ("waiting", "reason"),
    [
        ({"reason": "ImagePullBackOff", "message": "Back-off pulling"}, "ImagePullBackOff: Back-off pulling"),
        (
            {"reason": "CreateContainerConfigError", "message": 'secret "rustk-store" not found'},
            'CreateContainerConfigError: secret "rustk-store" not found',
        ),
        ({"reason": "ContainerCreating"}, "starting"),
    ],
)
def test_what_a_container_waits_for(waiting: dict[str, str], reason: str) -> None:
    assert waits_for(pod("Pending", {"waiting": waiting})) == reason


def test_a_job_without_a_pod_says_why() -> None:
    why = "Error creating: pods is forbidden: exceeded quota: gpus"
    assert seen(job(), events={"r-t0003-f01": why}) == ("pending", why)
    assert seen(job()) == ("pending", "waiting for the Job controller to make a pod")


def test_an_attempt_past_its_deadline_says_so_and_not_how_it_was_stopped() -> None:
    late = pod("Failed", ended(143, "rustk: stopped by SIGTERM"), reason="DeadlineExceeded", message="Pod was active")
    late["spec"]["activeDeadlineSeconds"] = 60
    assert last_words(late) == (
        "an attempt took longer than 60 s on its node: raise kubernetes.active_deadline_seconds"
    )


def test_suspended_jobs_name_their_queue() -> None:
    assert seen(job(suspend=True)) == ("pending", "suspended")
    queued = job(suspend=True, **{"kueue.x-k8s.io/queue-name": "q"})
    assert seen(queued) == ("pending", "suspended, in queue q")
    said = "couldn't assign flavors to pod set main: insufficient unused quota for nvidia.com/gpu"
    assert seen(queued, queue={"r-t0003-f01": said}) == ("pending", f"in queue q: {said}")
    assert seen(queued, queue={"another": said}) == ("pending", "suspended, in queue q")


def test_last_words_are_the_last_line() -> None:
    words = "epoch 1\nTraceback...\nrustk: shard develop-0 is corrupt\n"
    assert last_words(pod("Failed", ended(65, words))) == "exit code 65: rustk: shard develop-0 is corrupt"


def test_out_of_memory_says_what_to_do() -> None:
    assert last_words(pod("Failed", ended(137, "epoch 3", "OOMKilled"))) == (
        "exit code 137: out of memory (its limit is 1Gi): raise kubernetes.memory"
    )


def test_other_ends() -> None:
    assert last_words(pod("Failed", ended(137, "epoch 3"))) == "exit code 137: killed"
    evicted = pod("Failed", None, reason="Evicted", message="The node was low on memory.")
    assert last_words(evicted) == "Evicted: The node was low on memory."
    preempted = pod(
        "Failed",
        ended(137),
        conditions=[
            {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "for x"}
        ],
    )
    assert last_words(preempted) == "PreemptionByScheduler: for x"
    assert last_words(pod("Failed")) == "its container never ran"
    assert last_words(pod("Running", {"running": {}})) == ""


def test_a_failed_job_has_its_last_pods_words() -> None:
    failed = job({"type": "Failed", "reason": "BackoffLimitExceeded", "message": "too many"}, failed=2)
    pods = [pod("Failed", ended(75, "the store failed"), 1), pod("Failed", ended(1, "boom"), 2)]
    assert seen(failed, *pods) == ("failed", "exit code 1: boom")
    assert seen(failed) == ("failed", "BackoffLimitExceeded: too many")


def test_a_deadline_is_the_jobs_own_reason() -> None:
    failed = job({"type": "Failed", "reason": "DeadlineExceeded", "message": "Job was active longer than specified"})
    assert seen(failed, pod("Failed", ended(143, "stopped")))[1].startswith("DeadlineExceeded")


def test_another_attempt_says_how_the_last_one_ended() -> None:
    before = pod("Failed", ended(75, "the store failed"), 1)
    running = pod("Running", {"running": {"startedAt": "2025-01-01T11:50:00Z"}}, 2)
    assert seen(job(failed=1), before, running) == (
        "running",
        "attempt 2; the last one: exit code 75: the store failed",
    )
    assert seen(job(failed=1), before) == (
        "pending",
        "backing off before the next attempt (attempt 2; the last one: exit code 75: the store failed)",
    )


def test_gpu_time_is_that_of_all_attempts_and_all_gpus() -> None:
    pods = [pod("Failed", ended(75), 1), pod("Running", {"running": {"startedAt": "2025-01-01T11:50:00Z"}}, 2)]
    (fold,) = observed([job(failed=1)], pods, "nvidia.com/gpu", NOW)
    assert fold.gpu_seconds == 2 * (30 + 10) * 60


def test_events_are_asked_for_only_where_a_pod_is_missing() -> None:
    def unexpected() -> dict[str, str]:
        raise AssertionError("events were asked for")

    observed([job({"type": "Complete"})], [], "nvidia.com/gpu", NOW, Waits(unexpected, unexpected))


def test_jobs_of_others_are_left_out() -> None:
    other = {"metadata": {"name": "x", "labels": {"rustk.dev/run": "r"}}, "spec": {}}
    assert observed([other], [], "nvidia.com/gpu", NOW) == []


def batch(*conditions: dict[str, str], name: str = "r-b01234567", created: int = 0) -> dict[str, Any]:
    made = job(*conditions)
    made["metadata"] = {
        "name": name,
        "labels": {"rustk.dev/run": "r"},
        "annotations": {"rustk.dev/tasks": "3/1,3/2"},
        "creationTimestamp": f"2025-01-01T10:0{created}:00Z",
    }
    return made


def test_the_folds_of_a_batch_are_as_their_job() -> None:
    running = pod("Running", {"running": {"startedAt": "2025-01-01T11:50:00Z"}}, 2)
    running["metadata"]["labels"] = {"rustk.dev/run": "r", "batch.kubernetes.io/job-name": "r-b01234567"}
    folds = observed([batch()], [running], "nvidia.com/gpu", NOW)
    assert [(fold.trial, fold.fold, fold.state) for fold in folds] == [(3, 1, "running"), (3, 2, "running")]
    assert sum(fold.gpu_seconds for fold in folds) == 2 * 10 * 60


def test_of_several_jobs_of_a_fold_the_live_one_counts_or_the_latest() -> None:
    failed = batch({"type": "Failed", "reason": "BackoffLimitExceeded", "message": "too many"}, created=5)
    alone = job(suspend=True)
    for jobs in ([failed, alone], [alone, failed]):
        states = {(fold.trial, fold.fold): fold.state for fold in observed(jobs, [], "nvidia.com/gpu", NOW)}
        assert states == {(3, 1): "pending", (3, 2): "failed"}
        assert jobs_by_task(jobs)[3, 1] is alone
        assert jobs_by_task(jobs)[3, 2] is failed
    ended = job({"type": "Complete"})
    ended["metadata"]["creationTimestamp"] = "2025-01-01T10:01:00Z"
    assert jobs_by_task([failed, ended])[3, 1] is failed


def fold_with_pod(namespace: Namespace, number: int, phase: str, condition: str = "") -> None:
    """A fold's Job, with a pod that has held two GPUs for half an hour."""
    name = f"r-t{number:04d}-f00"
    labels = {"rustk.dev/run": "r", "rustk.dev/trial": f"{number:04d}", "rustk.dev/fold": "00"}
    made = {"metadata": {"name": name, "labels": labels}, "spec": {"suspend": False}}
    namespace.jobs[name] = {**made, "status": {}}
    if condition:
        namespace.end(name, condition)
    of_job = pod(phase, ended(0) if condition else {"running": {"startedAt": "2025-01-01T11:30:00Z"}})
    of_job["metadata"] |= {"name": f"pod of {name}", "labels": {**labels, "batch.kubernetes.io/job-name": name}}
    namespace.pods.append(of_job)


def states(folds: Sequence[LiveFold]) -> dict[int, tuple[str, float]]:
    return {fold.trial: (fold.state, fold.gpu_seconds) for fold in folds}


def test_jobs_that_succeeded_are_asked_about_apart(server: Server, cluster: Cluster) -> None:
    namespace = Namespace()
    server.answer = namespace.answer
    fold_with_pod(namespace, 0, "Succeeded", "Complete")
    fold_with_pod(namespace, 1, "Running")
    fold_with_pod(namespace, 2, "Failed", "Failed")
    fold_with_pod(namespace, 3, "Failed", "Complete")  # whose pod failed first
    again = {**namespace.pods[-1]["metadata"], "name": "another"}
    namespace.pods.append({**pod("Succeeded", ended(0)), "metadata": again})
    fold_with_pod(namespace, 4, "Succeeded", "Complete")
    namespace.jobs["r-t0004-f00"]["status"] = {}  # its pod has ended, and its Job will in a moment
    found = live_folds(cluster, "r", "nvidia.com/gpu", NOW)
    assert states(found.folds) == {1: ("running", 3600), 2: ("failed", 3600), 4: ("pending", 0)}
    assert not [asked for asked in server.asked if "successful%21%3D0" in asked.path]
    namespace.end("r-t0001-f00", "Complete")  # it has been seen running, and is not counted twice
    assert states(found.all_folds()) == {
        0: ("succeeded", 3600),
        1: ("running", 3600),
        2: ("failed", 3600),
        3: ("succeeded", 7200),
        4: ("pending", 3600),
    }


def test_of_many_jobs_that_succeeded_the_pods_are_not_asked_for(
    server: Server, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "_MOST_SUCCEEDED", 1)
    namespace = Namespace()
    server.answer = namespace.answer
    for number in range(2):
        fold_with_pod(namespace, number, "Succeeded", "Complete")
    found = live_folds(cluster, "r", "nvidia.com/gpu", NOW).all_folds()
    assert states(found) == {0: ("succeeded", 0), 1: ("succeeded", 0)}
    assert not [asked for asked in server.asked if "phase%3DSucceeded" in asked.path]
