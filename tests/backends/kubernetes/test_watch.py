"""Watches that break, as they do when an API server is restarted or forgets old versions."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from rustk.backends.kubernetes.client import Cluster
from rustk.backends.kubernetes.errors import NotAllowed
from rustk.backends.kubernetes.watch import RunWatch

from .conftest import Asked, Reply, Server

NOW = datetime(2025, 1, 1, tzinfo=UTC)


def job(fold: int, version: int, *, complete: bool = False) -> dict[str, Any]:
    return {
        "metadata": {
            "name": f"r-t0000-f{fold:02d}",
            "resourceVersion": str(version),
            "labels": {"rustk.dev/run": "r", "rustk.dev/trial": "0", "rustk.dev/fold": str(fold)},
        },
        "spec": {"suspend": True},
        "status": {"conditions": [{"type": "Complete", "status": "True"}] if complete else []},
    }


def stream(*events: tuple[str, dict[str, Any]]) -> Reply:
    return Reply(200, "".join(json.dumps({"type": kind, "object": found}) + "\n" for kind, found in events).encode())


def states(watch: RunWatch) -> dict[int, str]:
    return {fold.fold: fold.state for fold in watch.live_folds(NOW).folds}


def eventually(watch: RunWatch, expected: dict[int, str]) -> None:
    deadline = time.monotonic() + 10
    while states(watch) != expected:
        assert time.monotonic() < deadline, states(watch)
        watch.wait(0.1)


class Script:
    """Answers lists and watches of Jobs in turn; there are never any pods. A watch beyond the last one lasts."""

    def __init__(self, lists: list[list[dict[str, Any]]], watches: list[Reply]) -> None:
        self.lists = lists
        self.watches = watches
        self.versions: list[str] = []

    def answer(self, asked: Asked) -> Reply:
        if "/pods" in asked.path:
            if "watch=1" in asked.path:
                time.sleep(0.05)
            return stream() if "watch=1" in asked.path else Reply(200, {"metadata": {"resourceVersion": "1"}})
        if "watch=1" not in asked.path:
            items = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
            return Reply(200, {"items": items, "metadata": {"resourceVersion": "5"}})
        self.versions.append(asked.path.split("resourceVersion=")[1].split("&")[0])
        if self.watches:
            return self.watches.pop(0)
        time.sleep(0.05)
        return stream()


def test_events_change_what_is_there(server: Server, cluster: Cluster) -> None:
    script = Script(
        [[job(0, 3), job(1, 4)]],
        [
            stream(
                ("MODIFIED", job(0, 6, complete=True)),
                ("ADDED", job(2, 7)),
                ("DELETED", job(1, 8)),
                ("BOOKMARK", {"metadata": {"resourceVersion": "20"}}),
            )
        ],
    )
    server.answer = script.answer
    with RunWatch(cluster, "r", "nvidia.com/gpu") as watch:
        eventually(watch, {0: "succeeded", 2: "pending"})
        deadline = time.monotonic() + 5
        while len(script.versions) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert script.versions[:2] == ["5", "20"]  # it goes on where the bookmark said


def test_a_version_that_is_too_old_means_a_new_list(server: Server, cluster: Cluster) -> None:
    gone = stream(("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}))
    server.answer = Script([[job(0, 3)], [job(0, 9, complete=True)]], [gone]).answer
    with RunWatch(cluster, "r", "nvidia.com/gpu") as watch:
        eventually(watch, {0: "succeeded"})


def test_a_connection_that_is_lost_means_a_new_list(server: Server, cluster: Cluster) -> None:
    half = Reply(200, b'{"type": "MODI', headers={"Content-Length": "1000"}, cut=True)
    server.answer = Script([[job(0, 3)], [job(0, 9, complete=True)]], [half]).answer
    with RunWatch(cluster, "r", "nvidia.com/gpu") as watch:
        eventually(watch, {0: "succeeded"})


def test_a_missing_right_ends_it(server: Server, cluster: Cluster) -> None:
    message = 'jobs is forbidden: User "ann" cannot list resource "jobs"'
    server.answer = lambda asked: Reply(403, {"reason": "Forbidden", "message": message})
    with RunWatch(cluster, "r", "nvidia.com/gpu") as watch, pytest.raises(NotAllowed, match="ann may not list"):
        watch.live_folds(NOW)
