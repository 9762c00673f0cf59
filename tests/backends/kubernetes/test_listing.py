"""What is asked of an API server about a run's Jobs, and what is kept of the answer."""

from typing import Any

import pytest

from rustk.backends.kubernetes.client import Cluster
from rustk.backends.kubernetes.creating import delete_jobs
from rustk.backends.kubernetes.listing import list_jobs, queue_messages, store_of_jobs
from rustk.backends.kubernetes.manifests import job_tasks
from rustk.backends.kubernetes.observe import end_of_job

from .api import Namespace
from .conftest import Asked, Reply, Server


def job(name: str, *, labels: dict[str, str] | None = None, tasks: str = "", succeeded: int = 0) -> dict[str, Any]:
    annotations = {"rustk.dev/tasks": tasks} if tasks else {}
    conditions = [{"type": "Complete", "status": "True"}] if succeeded else []
    return {
        "metadata": {
            "name": name,
            "uid": f"uid of {name}",
            "labels": {"rustk.dev/run": "r", **(labels or {})},
            "annotations": annotations,
            "managedFields": [{"large": "x" * 1000}],
        },
        "spec": {"suspend": False, "template": {"large": "x" * 1000}},
        "status": {"conditions": conditions, "succeeded": succeeded},
    }


def fold(trial: int, fold: int, *, succeeded: int = 0) -> dict[str, Any]:
    labels = {"rustk.dev/trial": str(trial), "rustk.dev/fold": str(fold)}
    return job(f"r-t{trial:04d}-f{fold:02d}", labels=labels, succeeded=succeeded)


@pytest.fixture
def namespace(server: Server) -> Namespace:
    made = Namespace()
    server.answer = made.answer
    return made


def put(namespace: Namespace, *jobs: dict[str, Any]) -> None:
    namespace.jobs.update({found["metadata"]["name"]: found for found in jobs})


def ends(jobs: list[dict[str, Any]]) -> dict[tuple[tuple[int, int], ...], str]:
    return {job_tasks(found): end_of_job(found)[0] for found in jobs}


def test_jobs_say_in_which_store_they_work(cluster: Cluster, namespace: Namespace) -> None:
    assert store_of_jobs(cluster, "r") is None
    found = fold(0, 0)
    found["spec"]["template"] = {"spec": {"containers": [{"name": "sidecar"}, {"name": "fold"}]}}
    put(namespace, found)
    assert store_of_jobs(cluster, "r") is None
    found["spec"]["template"]["spec"]["containers"][1]["args"] = ["fold", "--store", "s3://theirs", "--run", "r"]
    assert store_of_jobs(cluster, "r") == "s3://theirs"


def test_of_jobs_that_succeeded_their_names_are_enough(server: Server, cluster: Cluster, namespace: Namespace) -> None:
    put(namespace, fold(0, 0, succeeded=1), fold(12, 3, succeeded=1), fold(0, 1), fold(10_000, 100, succeeded=1))
    found = list_jobs(cluster, "r")
    assert ends(found) == {
        ((0, 0),): "succeeded",
        ((12, 3),): "succeeded",
        ((10_000, 100),): "succeeded",
        ((0, 1),): "",
    }
    assert all("large" not in str(one) for one in found)
    assert len(server.asked) == 2


def test_the_folds_of_a_batch_that_succeeded_are_in_its_annotations(
    server: Server, cluster: Cluster, namespace: Namespace
) -> None:
    put(namespace, fold(0, 0, succeeded=1), job("r-b01234567", tasks="1/0,1/1", succeeded=1))
    assert ends(list_jobs(cluster, "r")) == {((0, 0),): "succeeded", ((1, 0), (1, 1)): "succeeded"}


def test_a_job_that_succeeds_between_the_two_lists_is_there_once(
    server: Server, cluster: Cluster, namespace: Namespace
) -> None:
    put(namespace, fold(0, 0))

    def answer(asked: Asked) -> Reply:
        reply = namespace.answer(asked)
        put(namespace, fold(0, 0, succeeded=1))
        return reply

    server.answer = answer
    assert ends(list_jobs(cluster, "r")) == {((0, 0),): "succeeded"}
    assert len(list_jobs(cluster, "r")) == 1


def test_a_job_of_which_only_the_name_is_known_is_deleted_by_its_uid(
    server: Server, cluster: Cluster, namespace: Namespace
) -> None:
    put(namespace, fold(0, 0, succeeded=1), fold(0, 1, succeeded=1))
    listed = list_jobs(cluster, "r")
    put(namespace, fold(0, 1))  # which another submit has made anew meanwhile
    delete_jobs(cluster, listed)
    assert list(namespace.jobs) == ["r-t0000-f01"]
    (delete,) = [asked for asked in server.asked if asked.method == "DELETE"]
    assert delete.body is not None
    assert delete.body["preconditions"] == {"uid": "uid of r-t0000-f00"}


def workload(name: str, **conditions: tuple[str, str]) -> dict[str, Any]:
    listed = [{"type": kind, "status": status, "message": said} for kind, (status, said) in conditions.items()]
    owners = [{"kind": "Job", "name": name}]
    return {"metadata": {"name": f"job-{name}", "ownerReferences": owners}, "status": {"conditions": listed}}


def test_a_queue_says_what_a_job_waits_for(server: Server, cluster: Cluster) -> None:
    lacking = "couldn't assign flavors to pod set main:\n insufficient unused quota"
    workloads = [
        workload("waits", QuotaReserved=("False", lacking)),
        workload("checked", QuotaReserved=("True", "fits"), Admitted=("False", "waits for a check")),
        workload("runs", QuotaReserved=("True", "fits"), Admitted=("True", "is admitted")),
        workload("new"),
        {"metadata": {"name": "pod group"}},
    ]

    def answer(asked: Asked) -> Reply:
        if asked.path == "/apis/kueue.x-k8s.io":
            return Reply(200, {"preferredVersion": {"groupVersion": "kueue.x-k8s.io/v1beta2"}})
        assert asked.path.startswith("/apis/kueue.x-k8s.io/v1beta2/namespaces/rustk/workloads")
        return Reply(200, {"items": workloads, "metadata": {}})

    server.answer = answer
    assert queue_messages(cluster) == {
        "waits": "couldn't assign flavors to pod set main: insufficient unused quota",
        "checked": "waits for a check",
    }


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404, {"reason": "NotFound", "message": "the server could not find the requested resource"}),
        Reply(403, {"reason": "Forbidden", "message": 'User "me" cannot list resource "workloads"'}),
        Reply(200, {"kind": "APIGroup"}),
    ],
)
def test_without_kueue_or_the_right_nothing_is_known(server: Server, cluster: Cluster, reply: Reply) -> None:
    server.answer = lambda asked: reply
    assert queue_messages(cluster) == {}
