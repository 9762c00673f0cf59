"""Creating Jobs against a server that does what a real one does only on bad days."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rustk.backends.kubernetes.client import Cluster
from rustk.backends.kubernetes.creating import create_jobs
from rustk.backends.kubernetes.errors import AlreadyExists, QuotaExceeded, Refused, Unreachable
from rustk.backends.kubernetes.manifests import SPEC_HASH

from .conftest import Asked, Reply, Server, write_kubeconfig

DIGEST = "registry.example.org/worker@sha256:" + "a" * 64


def job(number: int, spec_hash: str = "h") -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"job-{number}", "annotations": {SPEC_HASH: spec_hash}},
        "spec": {"template": {"spec": {"containers": [{"name": "fold", "image": DIGEST}]}}},
    }


class Jobs:
    """A server's Jobs: creates, refuses a second of the same name, and gets."""

    def __init__(self) -> None:
        self.there: dict[str, Any] = {}
        self._lock = threading.Lock()

    def answer(self, asked: Asked) -> Reply:
        with self._lock:
            if asked.method == "GET":
                found = self.there.get(asked.path.rpartition("/")[2])
                return Reply(200, found) if found else Reply(404, {"reason": "NotFound", "message": "not found"})
            assert asked.body is not None
            name = asked.body["metadata"]["name"]
            if name in self.there:
                return Reply(409, {"reason": "AlreadyExists", "message": f"{name} already exists"})
            self.there[name] = asked.body
            return Reply(201, asked.body)


def test_all_are_created_once(server: Server, cluster: Cluster) -> None:
    jobs = Jobs()
    server.answer = jobs.answer
    assert create_jobs(cluster, [job(n) for n in range(100)]) == (100, 0)
    assert len(jobs.there) == len(server.asked) == 100


def test_connections_are_kept(
    secure_server: Server, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", secure_server.url, authority=certificate)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    secure_server.answer = Jobs().answer
    cluster = Cluster("rustk")
    assert create_jobs(cluster, [job(n) for n in range(200)]) == (200, 0)
    cluster.pool.clear()
    assert len(secure_server.asked) == 200
    assert secure_server.connections <= 32


def test_a_server_that_is_not_trusted_is_told_nothing(
    secure_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", secure_server.url)))
    with pytest.raises(Unreachable, match="certificate verify failed"):
        create_jobs(Cluster("rustk", retry_for_seconds=0.2), [job(n) for n in range(5)])
    assert secure_server.asked == []


def test_those_of_another_submit_are_found(server: Server, cluster: Cluster) -> None:
    jobs = Jobs()
    jobs.there = {f"job-{n}": job(n) for n in range(0, 40, 2)}
    server.answer = jobs.answer
    assert create_jobs(cluster, [job(n) for n in range(40)]) == (20, 20)


def test_a_job_of_that_name_with_another_spec_is_an_error(server: Server, cluster: Cluster) -> None:
    jobs = Jobs()
    jobs.there = {"job-3": job(3, "other")}
    server.answer = jobs.answer
    with pytest.raises(AlreadyExists, match=r"Job job-3 is in namespace rustk already, with another spec"):
        create_jobs(cluster, [job(n) for n in range(5)])


def test_a_connection_that_breaks_costs_nothing_and_doubles_nothing(server: Server, cluster: Cluster) -> None:
    jobs = Jobs()
    count = iter(range(10**6))

    def answer(asked: Asked) -> Reply:
        reply = jobs.answer(asked)
        # Every seventh answer is lost on the way, after the Job was made.
        return Reply(hang_up=True) if next(count) % 7 == 6 else reply

    server.answer = answer
    made, existing = create_jobs(cluster, [job(n) for n in range(60)])
    assert made + existing == 60
    assert len(jobs.there) == 60


def test_a_server_that_is_busy_gets_time(server: Server, cluster: Cluster) -> None:
    jobs = Jobs()
    turned_away: Counter[str] = Counter()

    def answer(asked: Asked) -> Reply:
        assert asked.body is not None
        name = asked.body["metadata"]["name"]
        turned_away[name] += 1  # one job is never asked for twice at a time
        return jobs.answer(asked) if turned_away[name] > int(name.removeprefix("job-")) % 3 else Reply(429)

    server.answer = answer
    assert create_jobs(cluster, [job(n) for n in range(60)]) == (60, 0)
    assert turned_away.total() == len(server.asked) == 60 + 20 * (1 + 2)


def test_a_full_quota_stops_it_and_says_how_far_it_came(server: Server, cluster: Cluster) -> None:
    jobs = Jobs()

    def answer(asked: Asked) -> Reply:
        if len(jobs.there) >= 10:
            return Reply(403, {"reason": "Forbidden", "message": "jobs.batch is forbidden: exceeded quota: folds"})
        return jobs.answer(asked)

    server.answer = answer
    with pytest.raises(QuotaExceeded, match=r"exceeded quota: folds \((9|1\d|2\d) of 600 Jobs were created; submit"):
        create_jobs(cluster, [job(n) for n in range(600)])
    assert len(server.asked) < 300  # it did not go on asking


def test_an_invalid_job_stops_it(server: Server, cluster: Cluster) -> None:
    server.answer = lambda asked: Reply(
        422, {"reason": "Invalid", "message": "spec.template.spec.containers: required"}
    )
    with pytest.raises(Refused, match=r"containers: required \(0 of 3 Jobs were created"):
        create_jobs(cluster, [job(n) for n in range(3)])
