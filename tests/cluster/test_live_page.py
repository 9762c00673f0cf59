"""k8s/examples/live-page.yaml, as it is shipped: reached by a forwarded port, and able to change nothing.

Opt-in, for it needs an image that is built for it: RUSTK_TEST_CONTROLLER_IMAGE is the controller's, by digest. Where
pods can't reach the API server by its Service (a test node has none), RUSTK_TEST_RELAY is an address of this machine
that they do reach, and what comes there is passed on to the API server.
"""

import json
import os
import select
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
import urllib3
import yaml

from .conftest import FOLDS, ROOT, Workplace, eventually, kubectl, required
from .test_setup import VERBS, may

S3 = "AWS_ENDPOINT_URL_S3"


class Relay(socketserver.BaseRequestHandler):
    """Passes a connection on to the API server of the kubeconfig."""

    def handle(self) -> None:
        config = yaml.safe_load(kubectl("config", "view", "--minify"))
        server = urlsplit(config["clusters"][0]["cluster"]["server"])
        with socket.create_connection((str(server.hostname), server.port or 443)) as there:
            other = {self.request: there, there: self.request}
            while True:
                for ready in select.select(list(other), [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    other[ready].sendall(data)


@pytest.fixture
def relay() -> Iterator[tuple[str, int] | None]:
    host = os.environ.get("RUSTK_TEST_RELAY")
    if not host:
        yield None
        return
    with socketserver.ThreadingTCPServer((host, 0), Relay) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield host, server.server_address[1]
        server.shutdown()


@pytest.fixture
def address(workplace: Workplace, relay: tuple[str, int] | None) -> Iterator[str]:
    """Where the page answers, by a forwarded port."""
    image = os.environ.get("RUSTK_TEST_CONTROLLER_IMAGE")
    if not image:
        pytest.skip("set RUSTK_TEST_CONTROLLER_IMAGE to the controller's image")
    namespace = workplace.namespace
    # Here the environment says where S3 is; in a pod the settings do.
    settings = f'store = "{workplace.store.url}"\nbackend = "kubernetes"\ns3_endpoint_url = "{required(S3)}"\n'
    settings += f'[kubernetes]\nnamespace = "{namespace}"\n'
    kubectl("-n", namespace, "create", "configmap", "rustk-settings", f"--from-literal=rustk.toml={settings}")
    made = []
    for manifest in yaml.safe_load_all((ROOT / "k8s/examples/live-page.yaml").read_text()):
        manifest["metadata"]["namespace"] = namespace
        for subject in manifest.get("subjects", []):
            subject["namespace"] = namespace
        if manifest["kind"] == "Deployment":
            pod = manifest["spec"]["template"]["spec"]
            pod["tolerations"] = [{"operator": "Exists"}]
            (container,) = pod["containers"]
            container |= {"image": image, "imagePullPolicy": "IfNotPresent"}
            container["resources"]["requests"]["cpu"] = "10m"
            if relay:
                env = {"KUBERNETES_SERVICE_HOST": relay[0], "KUBERNETES_SERVICE_PORT": str(relay[1])}
                container["env"] = [{"name": name, "value": value} for name, value in env.items()]
        kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
        made.append((manifest["kind"], manifest["metadata"]["name"]))
    try:
        kubectl("-n", namespace, "rollout", "status", "deployment/rustk-ui", "--timeout=180s")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        forward = subprocess.Popen(["kubectl", "-n", namespace, "port-forward", "deployment/rustk-ui", f"{port}:8470"])
        try:
            url = f"http://localhost:{port}"
            eventually("the page answers", lambda: answered(f"{url}/health") == (200, "ok"), 60)
            yield url
        finally:
            forward.kill()
            forward.wait()
    finally:
        for kind, name in reversed(made):
            kubectl("-n", namespace, "delete", kind, name, check=False)
        kubectl("-n", namespace, "delete", "configmap", "rustk-settings", check=False)


def answered(url: str, method: str = "GET") -> tuple[int, str]:
    """Status and body; status 0 where nobody answers."""
    try:
        answer = urllib3.request(method, url, retries=False, timeout=10.0)
    except urllib3.exceptions.HTTPError:
        return 0, ""
    return answer.status, answer.data.decode()


def test_a_forwarded_port_shows_the_runs(workplace: Workplace, standin: Callable[[str], None], address: str) -> None:
    standin("trap 'exit 143' TERM; sleep 600 & wait")
    workplace.rustk("submit", workplace.study("watched"))
    run = workplace.run_of("watched")
    try:
        eventually("the run is listed", lambda: run in answered(address)[1], 60)
        # What only the API server knows: that folds run, though the store has nothing of them.
        page = f"{address}/runs/{run}"
        eventually("folds run", lambda: page_counts(answered(page)[1], "running") > 0, 90)
        assert page_counts(answered(page)[1], "running") <= FOLDS
        for method in ("POST", "PUT", "DELETE"):
            assert answered(page, method)[0] == 405
    finally:
        workplace.rustk("cancel", run)


def page_counts(page: str, state: str) -> int:
    """How many cells of the matrix of folds are in a state."""
    return page.count(f'<td class="state-{state}">')


def test_its_account_reads_and_changes_nothing(workplace: Workplace, address: str) -> None:
    for resource in ("jobs.batch", "pods", "events", "secrets", "configmaps", "pods/exec"):
        granted = {verb for verb in VERBS if may(workplace.namespace, "rustk-ui", verb, resource)}
        assert granted <= {"list", "watch"}, resource
    assert not may(workplace.namespace, "rustk-ui", "list", "secrets")
