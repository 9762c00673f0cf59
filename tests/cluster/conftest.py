"""Tests against a real cluster and a real S3 server. Opt-in:

    KUBECONFIG=... AWS_ENDPOINT_URL_S3=... AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... \\
    RUSTK_TEST_IMAGE=name@sha256:... pytest tests/cluster

RUSTK_TEST_BUCKET       bucket to work in, below tests/ (default: rustk)
RUSTK_TEST_IMAGE        the worker's image by digest; one with the CPU build of TensorFlow
RUSTK_TEST_STATE        where the processes of a test node keep pid/NAME, for the tests that kill them (else skipped)
RUSTK_TEST_UP           the command that starts again what they killed
RUSTK_TEST_CONTROLLER_IMAGE  the controller's image by digest, for test_live_page.py (else skipped)
RUSTK_TEST_RELAY        an address of this machine that pods reach, where they don't reach the API server's Service

More is skipped unless it is asked for, each by the command that starts what it needs (`--stop` added ends that):

RUSTK_TEST_NETPOL       network policies are enforced: test_network.py
RUSTK_TEST_KUEUE        Kueue: test_kueue.py (on a test node .ci/cluster starts it; RUSTK_TEST_PARTS= leaves it out)
RUSTK_TEST_KWOK         simulated nodes: test_scale.py; RUSTK_TEST_FOLDS=10000 says how many folds
RUSTK_TEST_SOAK_MINUTES how long to kill things for: test_soak.py

On a test node all of it runs by, for instance,

    RUSTK_TEST_PARTS="netpol kueue kwok" RUSTK_TEST_FOLDS=10000 RUSTK_TEST_SOAK_MINUTES=60 \\
        .ci/cluster make cluster-tests

A namespace is made for the session by k8s/kustomization.yaml and removed at its end. Every rustk command runs as the
ServiceAccount rustk-controller, with exactly its Role.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from rustk.report.data.aggregate import aggregate
from rustk.report.data.results import load_run
from rustk.store import Store, open_store

ROOT = Path(__file__).parents[2]
STUDY = """
extends: regime2
name: {name}
model: {{weights: random, head: [16]}}
folds: {{scheme: shard, k: 3}}
training: {{epochs: 2, batch_size: 8}}
search: {{kind: grid, parameters: {{training.learning_rate: [1e-1, 1e-2], training.epsilon: [1e-7]}}}}
"""
FOLDS = 6  # of that study: 2 trials of 3


def required(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        pytest.exit(f"tests/cluster: set {name} (see tests/cluster/conftest.py)", returncode=2)
    return value


def kubectl(*arguments: str, stdin: str | None = None, check: bool = True) -> str:
    """Run kubectl as the administrator."""
    done = subprocess.run(["kubectl", *arguments], input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def eventually(what: str, holds: Callable[[], Any], seconds: float = 120.0, every: float = 0.5) -> Any:
    """What `holds` returns as soon as that is true, looking every so often; fails, naming `what`, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(every)
    return found


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


@dataclass
class Workplace:
    """A directory with a rustk.toml, from which commands run as the controller."""

    directory: Path
    namespace: str
    prefix: str
    store: Store
    kubeconfig: Path
    settings: dict[str, Any]

    def write_settings(self, **kubernetes: Any) -> None:
        """Write rustk.toml; `kubernetes` changes that section."""
        values = {**self.settings, **kubernetes}
        lines = [f'store = "{self.store.url}"', 'backend = "kubernetes"', "[kubernetes]"]
        lines += [f"{name} = {_toml(value)}" for name, value in values.items() if value is not None]
        (self.directory / "rustk.toml").write_text("\n".join(lines) + "\n")

    def study(self, name: str, **changes: Any) -> str:
        """Write the small study under this name; the path to submit it by."""
        fields = yaml.safe_load(STUDY.format(name=name))
        for section, values in changes.items():
            fields[section] = {**fields.get(section, {}), **values} if isinstance(values, dict) else values
        (self.directory / f"{name}.yaml").write_text(yaml.safe_dump(fields))
        return f"{name}.yaml"

    def start(self, *arguments: str, kubeconfig: Path | None = None) -> "subprocess.Popen[str]":
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig or self.kubeconfig), "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [sys.executable, "-m", "rustk", *arguments],
            cwd=self.directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rustk(self, *arguments: str, code: int | None = 0, kubeconfig: Path | None = None) -> Finished:
        """Run a command to its end; fails unless it exits with `code` (None: any)."""
        return self.finish(self.start(*arguments, kubeconfig=kubeconfig), code=code)

    def finish(self, process: "subprocess.Popen[str]", code: int | None = 0) -> Finished:
        out, err = process.communicate(timeout=600)
        assert code is None or process.returncode == code, f"exit {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err, err
        return Finished(process.returncode, out, err)

    def status(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.rustk("status", run, "--json").out)
        return found

    def jobs(self, run: str) -> list[dict[str, Any]]:
        return self._list("jobs", run)

    def pods(self, run: str) -> list[dict[str, Any]]:
        return self._list("pods", run)

    def attempts(self, run: str, job: str) -> list[str]:
        """How each pod of a Job ended, the oldest first: "exit 65 (Error)"; without an exit where no container ran."""
        pods = [p for p in self.pods(run) if p["metadata"]["labels"]["batch.kubernetes.io/job-name"] == job]
        pods.sort(key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        return [_ending(pod["status"]) for pod in pods]

    def _list(self, kind: str, run: str) -> list[dict[str, Any]]:
        text = kubectl("-n", self.namespace, "get", kind, "-l", f"rustk.dev/run={run}", "-o", "json")
        items: list[dict[str, Any]] = json.loads(text)["items"]
        return items

    def run_of(self, study: str) -> str:
        """The only run of a study."""
        runs = {entry.key.split("/")[1] for entry in self.store.list(f"runs/{study}-")}
        assert len(runs) == 1, runs
        return runs.pop()

    def histories(self, run: str) -> dict[str, bytes]:
        return {entry.key: self.store.read(entry.key) for entry in self.store.list(f"runs/{run}/histories/")}

    def numbers(self, run: str) -> str:
        """What every table of a complete run is made from."""
        return numbers(self.store, run)


def _ending(status: dict[str, Any]) -> str:
    for container in status.get("containerStatuses", []):
        ended = container["state"].get("terminated")
        if ended:
            return f"exit {ended['exitCode']} ({ended['reason']})"
    return f"{status['phase']} ({status.get('reason')}: {status.get('message')})"


def numbers(store: Store, run: str) -> str:
    """The averages of a complete run, to the last digit."""
    averaged = aggregate(load_run(store, run))
    return str(averaged.trials.to_csv(index=False)) + str(averaged.epochs.to_csv(index=False))


@pytest.fixture(scope="session")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A namespace of its own, set up by the shipped manifests under another name."""
    required("KUBECONFIG")
    name = f"rustk-test-{secrets.token_hex(3)}"
    overlay = tmp_path_factory.mktemp("overlay")
    shutil.copytree(ROOT / "k8s", overlay / "k8s", ignore=shutil.ignore_patterns("examples"))
    kustomization = {"namespace": name, "resources": ["k8s"]}
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    kubectl("apply", "-k", str(overlay))
    secret = [f"--from-literal={name}={required(name)}" for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
    region = f"--from-literal=AWS_DEFAULT_REGION={os.environ.get('AWS_DEFAULT_REGION', 'us-east-1')}"
    kubectl("-n", name, "create", "secret", "generic", "rustk-store", *secret, region)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def kubeconfig_of(account: str, namespace: str, path: Path) -> Path:
    """A kubeconfig whose only credential is a token of this ServiceAccount."""
    config = yaml.safe_load(kubectl("config", "view", "--raw", "--minify", "--flatten"))
    token = kubectl("-n", namespace, "create", "token", account, "--duration=4h").strip()
    config["users"] = [{"name": account, "user": {"token": token}}]
    config["contexts"][0]["context"]["user"] = account
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="session")
def workplace(namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """The store with a small phantom dataset, and the settings of a cluster without GPUs to spare."""
    directory = tmp_path_factory.mktemp("workplace")
    bucket = os.environ.get("RUSTK_TEST_BUCKET", "rustk")
    prefix = f"tests/{namespace}"
    made = Workplace(
        directory=directory,
        namespace=namespace,
        prefix=prefix,
        store=open_store(f"s3://{bucket}/{prefix}"),
        kubeconfig=kubeconfig_of("rustk-controller", namespace, directory / "controller.kubeconfig"),
        settings={
            "namespace": namespace,
            "image": required("RUSTK_TEST_IMAGE"),
            "gpus": 1,
            "cpu": "500m",
            "memory": "3Gi",
            "s3_endpoint_url": required("AWS_ENDPOINT_URL_S3"),
        },
    )
    made.write_settings()
    made.rustk("phantom", "--images", "48", "--size", "96")
    yield made
    for entry in made.store.list(""):
        made.store.delete(entry.key)


@pytest.fixture
def standin(workplace: Workplace) -> Iterator[Callable[[str], None]]:
    """Have folds run a shell script instead of training: $T and $F are the (first) trial and fold. Takes no GPU."""

    def use(script: str) -> None:
        template = yaml.safe_load((ROOT / "k8s" / "fold-job.yaml").read_text())
        (container,) = template["spec"]["template"]["spec"]["containers"]
        # Arguments: fold --store S --run R --task T/F, and more tasks of a batch.
        container["command"] = ["sh", "-c", f"T=${{6%/*}} F=${{6#*/}}; {script}"]
        (workplace.directory / "standin.yaml").write_text(yaml.safe_dump(template))
        workplace.write_settings(template="standin.yaml", gpus=0, cpu="10m", memory="32Mi")

    yield use
    workplace.write_settings()


class Node:
    """The processes of a test node, for tests that take them away."""

    def __init__(self, state: Path, up: str) -> None:
        self._state = state
        self._up = up

    def pid(self, name: str) -> int:
        return int((self._state / "pid" / name).read_text().split()[0])

    def kill(self, name: str) -> None:
        """Kill one of the node's own processes, and wait until it is gone."""
        pid = self.pid(name)
        os.kill(pid, 9)
        eventually(f"{name} is gone", lambda: not alive(pid), 20)

    def up(self) -> None:
        """Start again what is not running."""
        subprocess.run(self._up, shell=True, check=True, capture_output=True)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def node() -> Iterator[Node]:
    state, up = os.environ.get("RUSTK_TEST_STATE"), os.environ.get("RUSTK_TEST_UP")
    if not state or not up:
        pytest.skip("kills parts of the cluster: set RUSTK_TEST_STATE and RUSTK_TEST_UP where that is yours to do")
    taken = Node(Path(state), up)
    yield taken
    taken.up()
