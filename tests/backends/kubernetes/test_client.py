import json
import time
from pathlib import Path
from typing import Any

import pytest
import urllib3

from rustk.backends.kubernetes.client import Cluster, _translated
from rustk.backends.kubernetes.errors import (
    AlreadyExists,
    Conflict,
    Expired,
    NotAllowed,
    NotFound,
    QuotaExceeded,
    Refused,
    Unreachable,
    from_status,
)
from rustk.vocabulary.errors import BackendFailed

from .conftest import Asked, Reply, Server, write_kubeconfig


def get(cluster: Cluster) -> dict[str, Any]:
    return cluster.request("GET", cluster.jobs("a"), asked="get job a in namespace rustk")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_is_busy_is_asked_again(server: Server, cluster: Cluster, status: int) -> None:
    server.answer = lambda asked: Reply(status) if len(server.asked) < 3 else Reply(200, {"kind": "Job"})
    assert get(cluster) == {"kind": "Job"}
    assert len(server.asked) == 3


def test_a_server_that_hangs_up_is_asked_again(server: Server, cluster: Cluster) -> None:
    server.answer = lambda asked: Reply(hang_up=len(server.asked) < 3)
    get(cluster)
    assert len(server.asked) == 3


def test_an_answer_that_breaks_off_is_asked_for_again(server: Server, cluster: Cluster) -> None:
    """As when the server dies between the head of its answer and the end of it."""
    replies = iter([Reply(body=b"{", headers={"Content-Length": "100"}, cut=True), Reply(body={"kind": "Job"})])
    server.answer = lambda asked: next(replies)
    assert cluster.request("GET", "/x", asked="look") == {"kind": "Job"}
    assert len(server.asked) == 2


def test_retry_after_is_obeyed(server: Server, cluster: Cluster) -> None:
    server.answer = lambda asked: Reply(429, headers={"Retry-After": "1"}) if len(server.asked) < 2 else Reply()
    began = time.monotonic()
    get(cluster)
    assert time.monotonic() - began >= 1


def test_the_deadline_ends_it(server: Server, cluster: Cluster) -> None:
    server.answer = lambda asked: Reply(503, {"message": "etcd is away"})
    with pytest.raises(Unreachable, match=r"get job a in namespace rustk: http://.* answers 503 etcd is away"):
        cluster.request("GET", "/x", asked="get job a in namespace rustk", retry_for_seconds=0.3)
    assert len(server.asked) > 1


def test_no_server_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1")))
    with pytest.raises(Unreachable, match="Connection refused") as raised:
        Cluster("rustk", retry_for_seconds=0.2).request("GET", "/version", asked="ask for the version")
    assert "\n" not in str(raised.value)
    assert "object at 0x" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "reason", "message", "error"),
    [
        (401, "Unauthorized", "Unauthorized", NotAllowed),
        (
            403,
            "Forbidden",
            'jobs.batch "a" is forbidden: exceeded quota: q, requested: count/jobs.batch=1',
            QuotaExceeded,
        ),
        (403, "Forbidden", "pods is forbidden: violates PodSecurity", NotAllowed),
        (404, "NotFound", 'jobs.batch "a" not found', NotFound),
        (409, "AlreadyExists", 'jobs.batch "a" already exists', AlreadyExists),
        (409, "Conflict", "the UID in the precondition does not match", Conflict),
        (410, "Expired", "too old resource version", Expired),
        (422, "Invalid", "spec.template: required", Refused),
    ],
)
def test_each_answer_has_its_error(
    server: Server, cluster: Cluster, status: int, reason: str, message: str, error: type[BackendFailed]
) -> None:
    server.answer = lambda asked: Reply(status, {"kind": "Status", "reason": reason, "message": message})
    with pytest.raises(error):
        get(cluster)
    assert len(server.asked) == 1


def test_a_missing_right_names_who_what_where_and_the_role() -> None:
    message = (
        'jobs.batch is forbidden: User "ann" cannot create resource "jobs" in API group "batch" in the namespace "x"'
    )
    error = from_status(403, {"reason": "Forbidden", "message": message}, asked="create jobs.batch in namespace x")
    assert isinstance(error, NotAllowed)
    for part in ("ann", "create jobs.batch in namespace x", "Role rustk-controller", "k8s/controller.yaml"):
        assert part in str(error)


def test_the_token_is_sent_and_never_told(server: Server, cluster: Cluster) -> None:
    assert cluster.headers("application/json", json_body=False)["authorization"] == "Bearer t0ken"
    server.answer = lambda asked: Reply(401, {"message": "Unauthorized"})
    with pytest.raises(NotAllowed) as raised:
        get(cluster)
    assert "t0ken" not in str(raised.value)


BROKEN = {
    "absent": None,
    "empty": "",
    "no YAML": "a: [",
    "a list": "[]",
    "no contexts": "apiVersion: v1\nkind: Config\n",
    "a certificate that is not there": (
        "{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}], "
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1', certificate-authority: /nowhere/ca.crt}}], "
        "users: [{name: u, user: {}}]}"
    ),
    "a command that is not there": (
        "{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}], "
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}], users: [{name: u, user: {exec: "
        "{apiVersion: client.authentication.k8s.io/v1, command: /nowhere/login, interactiveMode: Never}}}]}"
    ),
    "base64 that is none": (
        "{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}], "
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1', certificate-authority-data: '!!'}}], "
        "users: [{name: u, user: {}}]}"
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_kubeconfig_is_one_line_of_ours(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kubeconfig"
    if BROKEN[what] is not None:
        path.write_text(str(BROKEN[what]))
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(BackendFailed) as raised:
        Cluster("rustk", retry_for_seconds=0.1).request("GET", "/version", asked="ask for the version")
    assert "\n" not in str(raised.value)


def library_errors() -> list[Exception]:
    """One of every exception that urllib3 and the kubernetes package define."""
    import kubernetes.client.exceptions as api
    import kubernetes.config as config

    kinds: list[Any] = []
    for module in (urllib3.exceptions, api, config):
        kinds += [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    made = []
    for kind in dict.fromkeys(kinds):
        if issubclass(kind, Warning) or kind.__module__ == "builtins":
            continue
        instance = kind.__new__(kind)
        Exception.__init__(instance, "from the library")
        made.append(instance)
    return made


@pytest.mark.parametrize("error", library_errors(), ids=lambda error: type(error).__name__)
def test_no_exception_of_the_libraries_leaks_out(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    # Some compose their text from attributes that an instance made this way lacks.
    monkeypatch.setattr(type(error), "__str__", lambda self: "from the library", raising=False)
    with pytest.raises(BackendFailed) as raised, _translated("try"):
        raise error
    assert raised.value.__cause__ is error


def test_lists_are_read_in_pages(server: Server, cluster: Cluster) -> None:
    def answer(asked: Asked) -> Reply:
        if "continue=more" in asked.path:
            return Reply(200, {"items": [{"n": 2}], "metadata": {"resourceVersion": "7"}})
        return Reply(200, {"items": [{"n": 1}], "metadata": {"resourceVersion": "7", "continue": "more"}})

    server.answer = answer
    assert cluster.list_objects(cluster.jobs(), asked="list") == ([{"n": 1}, {"n": 2}], "7")


def test_a_list_whose_pages_expired_begins_anew(server: Server, cluster: Cluster) -> None:
    def answer(asked: Asked) -> Reply:
        if "continue=old" in asked.path:
            return Reply(410, {"reason": "Expired", "message": "too old"})
        first = len(server.asked) == 1
        return Reply(
            200, {"items": [{"n": 1}], "metadata": {"resourceVersion": "7", "continue": "old" if first else ""}}
        )

    server.answer = answer
    assert cluster.list_objects(cluster.jobs(), asked="list") == ([{"n": 1}], "7")


def test_a_list_from_the_server_s_memory_asks_for_any_version_once(server: Server, cluster: Cluster) -> None:
    def answer(asked: Asked) -> Reply:
        token = "" if "continue=" in asked.path else "more"
        return Reply(200, {"items": [{}], "metadata": {"resourceVersion": "7", "continue": token}})

    server.answer = answer
    assert len(cluster.list_objects(cluster.jobs(), asked="list", from_memory=True)[0]) == 2
    first, second = (asked.path for asked in server.asked)
    assert "resourceVersion=1&resourceVersionMatch=NotOlderThan" in first
    assert "limit=500" in first  # which resourceVersion=0 would have the server disregard
    assert "resourceVersion" not in second  # a server refuses it beside `continue`


def test_a_watch_gives_events_and_ends_with_expired(server: Server, cluster: Cluster) -> None:
    events = [
        {"type": "ADDED", "object": {"metadata": {"name": "a"}}},
        {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}},
    ]
    server.answer = lambda asked: Reply(200, "".join(json.dumps(event) + "\n" for event in events).encode())
    seen = []
    with pytest.raises(Expired):
        seen += list(cluster.watch(cluster.jobs(), asked="watch", version="1"))
    watched = cluster.watch(cluster.jobs(), asked="watch", version="1")
    assert next(watched)["object"]["metadata"]["name"] == "a"
    watched.close()  # type: ignore[attr-defined]
