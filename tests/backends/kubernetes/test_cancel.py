"""Cancelling against a server that is slower than anybody waits for."""

import time
from typing import Any

import pytest

from rustk.backends.kubernetes.cancel import cancel_run
from rustk.backends.kubernetes.client import Cluster
from rustk.backends.kubernetes.errors import NotAllowed

from .api import Namespace
from .conftest import Asked, Reply, Server


def job(number: int, run: str = "r") -> dict[str, Any]:
    return {"metadata": {"name": f"{run}-{number}", "labels": {"rustk.dev/run": run}}}


def filled(count: int) -> Namespace:
    namespace = Namespace()
    namespace.jobs = {made["metadata"]["name"]: made for made in (*map(job, range(count)), job(0, "other"))}
    return namespace


def test_all_jobs_of_the_run_go_and_no_others(server: Server, cluster: Cluster) -> None:
    namespace = filled(5)
    server.answer = namespace.answer
    assert cancel_run(cluster, "r").jobs == 5
    assert list(namespace.jobs) == ["other-0"]
    assert cancel_run(cluster, "r").jobs == 0


def test_a_server_that_does_not_answer_in_time_is_asked_until_none_is_left(server: Server, cluster: Cluster) -> None:
    namespace = filled(9)

    def answer(asked: Asked) -> Reply:
        if asked.method != "DELETE":
            return namespace.answer(asked)
        # It deletes some, and is then so long about the others that nobody hears of it.
        for name in [name for name in namespace.jobs if name.startswith("r-")][:4]:
            del namespace.jobs[name]
        time.sleep(0.4)
        return Reply(hang_up=True)

    server.answer = answer
    told: list[str] = []
    cancelled = cancel_run(cluster, "r", tell=told.append, answer_seconds=0.2)
    assert (cancelled.jobs, cancelled.pods_left) == (9, 0)
    assert list(namespace.jobs) == ["other-0"]
    assert told == ["4 of 9 Jobs are deleted", "8 of 9 Jobs are deleted"]


def test_pods_that_do_not_stop_are_counted(server: Server, cluster: Cluster) -> None:
    namespace = filled(1)
    namespace.pods = [{"metadata": {"name": "pod", "labels": {"rustk.dev/run": "r"}}}]
    server.answer = namespace.answer
    assert cancel_run(cluster, "r", wait_seconds=0.0).pods_left == 1


def test_a_missing_right_ends_it(server: Server, cluster: Cluster) -> None:
    namespace = filled(1)
    message = 'jobs is forbidden: User "ann" cannot deletecollection resource "jobs"'
    refused = Reply(403, {"reason": "Forbidden", "message": message})
    server.answer = lambda asked: refused if asked.method == "DELETE" else namespace.answer(asked)
    with pytest.raises(NotAllowed, match="ann may not deletecollection"):
        cancel_run(cluster, "r")
