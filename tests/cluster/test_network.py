"""What k8s/network.yaml lets a fold's pod reach, where policies are enforced.

Opt-in: RUSTK_TEST_NETPOL is the command that has them enforced, `--stop` added ends that.
"""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from socket import create_server
from typing import Any

import pytest
import yaml

from .conftest import ROOT, Node, Workplace, eventually, kubectl

# Listens, and says again and again which of the targets it reaches.
PROBE = """
import json, os, socket, threading, time
def listen():
    server = socket.create_server(("", 8080))
    while True:
        server.accept()[0].close()
threading.Thread(target=listen, daemon=True).start()
def reached(address, port):
    try:
        socket.create_connection((address, port), 2).close()
        return True
    except OSError:
        return False
while True:
    targets = json.loads(os.environ.get("TARGETS", "{}"))
    print(json.dumps({name: reached(*target) for name, target in targets.items()}), flush=True)
    time.sleep(0.5)
"""


@pytest.fixture
def enforce(namespace: str) -> Iterator[Any]:
    """Switches enforcement on; it is off when the test begins."""
    command = os.environ.get("RUSTK_TEST_NETPOL")
    if not command:
        pytest.skip("set RUSTK_TEST_NETPOL to the command that has network policies enforced")

    def run(arguments: str = "") -> None:
        subprocess.run(f"{command} {arguments}", shell=True, check=True, capture_output=True)

    run("--stop")
    yield run
    # A pod that is gone takes its rules along. With many of them the end has been seen to fail, and to leave them.
    kubectl("-n", namespace, "delete", "pods", "--all", "--wait")

    def has_ended() -> bool:
        return subprocess.run(f"{command} --stop", shell=True, check=False, capture_output=True).returncode == 0

    eventually("policies are not enforced any more", has_ended, 60)


@pytest.fixture
def other_pod(workplace: Workplace) -> Iterator[str]:
    """A pod of the namespace that is no fold, listening on port 8080; its name."""
    template = yaml.safe_load((ROOT / "k8s" / "fold-job.yaml").read_text())["spec"]["template"]["spec"]
    (container,) = template["containers"]
    container |= {"image": workplace.settings["image"], "command": ["python", "-c", PROBE]}
    container["resources"] = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "64Mi"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other", "labels": {"app": "other"}}}
    where = ("-n", workplace.namespace)
    kubectl(
        *where, "create", "-f", "-", stdin=json.dumps({**pod, "spec": {**template, "terminationGracePeriodSeconds": 0}})
    )
    kubectl(*where, "wait", "--for=condition=Ready", "pod/other", "--timeout=60s")
    yield "other"
    kubectl(*where, "delete", "pod", "other")


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """A port of this machine, which is the pods' node, that somebody listens on."""
    with create_server(("0.0.0.0", 0)) as server:
        server.settimeout(0.2)
        stopped = threading.Event()

        def serve() -> None:
            while not stopped.is_set():
                try:
                    server.accept()[0].close()
                except TimeoutError:
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        stopped.set()
        thread.join()


def test_a_folds_pod_reaches_s3_and_nothing_else(
    workplace: Workplace, node: Node, enforce: Any, other_pod: str, elsewhere: int
) -> None:
    get = ("-n", workplace.namespace, "get", "pod")
    other = kubectl(*get, other_pod, "-o", "jsonpath={.status.podIP}")
    address, _, port = workplace.settings["s3_endpoint_url"].partition("//")[2].partition(":")
    targets = {
        "S3": (address, int(port)),
        "kubelet": (address, 10250),
        "API server": (address, 6443),
        "another pod": (other, 8080),
        "any other port": (address, elsewhere),
    }
    template = yaml.safe_load((ROOT / "k8s" / "fold-job.yaml").read_text())
    (container,) = template["spec"]["template"]["spec"]["containers"]
    container["command"] = ["python", "-c", PROBE]
    (workplace.directory / "probe.yaml").write_text(yaml.safe_dump(template))
    workplace.write_settings(
        template="probe.yaml", gpus=0, cpu="10m", memory="64Mi", env={"TARGETS": json.dumps(targets)}
    )
    workplace.rustk("submit", workplace.study("probes"), "--max-live", "1")
    run = workplace.run_of("probes")
    (pod,) = eventually("a pod", lambda: workplace.pods(run))
    name = pod["metadata"]["name"]
    from_within = ("import socket; socket.create_connection((%r, 8080), 2)",)

    def said() -> dict[str, bool]:
        lines = kubectl("-n", workplace.namespace, "logs", name, "--tail=1", check=False).splitlines()
        found: dict[str, bool] = json.loads(lines[-1]) if lines else {}
        return found

    def is_reached() -> bool:
        fold = kubectl(*get, name, "-o", "jsonpath={.status.podIP}")
        script = from_within[0] % fold
        where = ("-n", workplace.namespace, "exec", other_pod, "--", "python", "-c", script)
        return subprocess.run(["kubectl", *where], capture_output=True, check=False).returncode == 0

    # Without enforcement all that listens is reached, so that what follows says something.
    listening = {"S3", "kubelet", "another pod", "any other port"}
    eventually("it reaches what listens", lambda: {w for w, reached in said().items() if reached} >= listening)
    eventually("it is reached", is_reached)
    enforce()
    eventually("S3 alone is reached", lambda: [w for w, reached in said().items() if reached] == ["S3"], 60)
    eventually("nothing reaches it", lambda: not is_reached(), 60)
    workplace.rustk("cancel", run)
    # And that is all that a real fold needs.
    workplace.write_settings()
    assert "is complete" in workplace.rustk("submit", workplace.study("fenced", search=None), "--wait").out
