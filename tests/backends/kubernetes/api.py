"""A namespace's Jobs and pods as an API server keeps them, for the requests that rustk makes."""

import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .conftest import Asked, Reply


class Namespace:
    """Answers creates, lists, gets and deletes; a dry run changes nothing."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pods: list[dict[str, Any]] = []
        self.logs: dict[str, str] = {}
        self.dry_runs = 0
        self._lock = threading.Lock()
        self._made = 0

    def answer(self, asked: Asked) -> Reply:
        with self._lock:
            url = urlsplit(asked.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            name = url.path.rpartition("/")[2]
            if url.path.endswith("/log"):
                return Reply(200, self.logs[url.path.split("/")[-2]].encode())
            if asked.method == "POST":
                return self._create(asked, query)
            if name in ("jobs", "pods", "events"):
                items = {"jobs": list(self.jobs.values()), "pods": self.pods, "events": []}[name]
                found = [item for item in items if _selected(item, query.get("labelSelector", ""))]
                found = [item for item in found if _has_fields(item, query.get("fieldSelector", ""))]
                if asked.method == "DELETE":
                    for item in found:
                        del self.jobs[item["metadata"]["name"]]
                metadata = {"resourceVersion": "1"}
                if query.get("includeObject") == "None":
                    rows = [{"cells": [item["metadata"]["name"]], "object": None} for item in found]
                    return Reply(200, {"kind": "Table", "rows": rows, "metadata": metadata})
                return Reply(200, {"items": found, "metadata": metadata})
            if name not in self.jobs:
                return Reply(404, {"reason": "NotFound", "message": f"{name} not found"})
            return Reply(200, self.jobs.pop(name) if asked.method == "DELETE" else self.jobs[name])

    def end(self, name: str, condition: str, reason: str = "") -> None:
        """Let a Job have ended: Complete or Failed."""
        succeeded = {"succeeded": 1} if condition == "Complete" else {}
        ended = {"type": condition, "status": "True", "reason": reason}
        self.jobs[name]["status"] = {"conditions": [ended], **succeeded}

    def _create(self, asked: Asked, query: dict[str, str]) -> Reply:
        assert asked.body is not None
        if query.get("dryRun") == "All":
            self.dry_runs += 1
            return Reply(201, asked.body)
        name = asked.body["metadata"]["name"]
        if name in self.jobs:
            return Reply(409, {"reason": "AlreadyExists", "message": f"{name} already exists"})
        self._made += 1
        metadata = {
            **asked.body["metadata"],
            "uid": str(self._made),
            "creationTimestamp": f"2025-01-01T00:{self._made // 60:02d}:{self._made % 60:02d}Z",
        }
        self.jobs[name] = {**asked.body, "metadata": metadata, "status": {}}
        return Reply(201, self.jobs[name])


def _selected(item: dict[str, Any], selector: str) -> bool:
    labels = item["metadata"].get("labels") or {}
    for term in filter(None, selector.split(",")):
        name, _, value = term.partition("=")
        if (name[1:] in labels) if name.startswith("!") else labels.get(name) != value:
            return False
    return True


def _has_fields(item: dict[str, Any], selector: str) -> bool:
    status = item.get("status") or {}
    fields = {"status.successful": str(status.get("succeeded", 0)), "status.phase": status.get("phase")}
    for term in filter(None, selector.split(",")):
        name, _, value = term.replace("!=", "=").partition("=")
        if name in fields and (fields[name] == value) == ("!=" in term):
            return False
    return True
