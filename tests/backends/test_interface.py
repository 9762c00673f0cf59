"""What every backend does alike: asked through the commands, which don't know which they have."""

import sys
import types
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rustk.backends import open_backend
from rustk.backends.base import SubmitOptions
from rustk.cli.app import app
from rustk.store import Store, open_store
from rustk.store.runs import publish_plan
from rustk.vocabulary import kinds as kinds_module
from rustk.vocabulary.errors import BadStudy, RustkError
from rustk.vocabulary.kinds import kinds
from rustk.vocabulary.settings import load_settings
from tests.planning.plans import random_plan

IMAGE = "registry.example.org/worker@sha256:" + "a" * 64
BACKENDS = kinds("backends")

# A backend of somebody's own, in one file, that trains a fold by writing its history.
TOY = """
import contextlib
from rustk.backends.base import Cancelled, Check, Preview, Submitted
from rustk.planning.progress import LiveFolds
from rustk.store.runs import done_tasks
from rustk.vocabulary.names import history_key


def open_backend(settings, store):
    return Toy(settings, store)


class Toy:
    name = "toy"
    honours = frozenset({"workers", "wait"})

    def __init__(self, settings, store):
        self.store = store

    def preview(self, plan, options, *, ask_server=False):
        return Preview(lambda: f"{len(plan.next_tasks(done_tasks(self.store, plan.run)))} folds would be toys")

    def check_run(self, run):
        pass

    def submit(self, plan, options, on_event):
        tasks = plan.next_tasks(done_tasks(self.store, plan.run))
        for task in tasks:
            self.store.write(history_key(plan.run, *task), b"history")
        return Submitted((f"{len(tasks)} toys were made",), started=len(tasks), complete=True)

    def advance(self, plan):
        return False

    @contextlib.contextmanager
    def observe(self, run, *, watched=False):
        yield self

    def live_folds(self, now):
        return LiveFolds()

    def wait(self, seconds):
        pass

    def logs(self, run, trial, fold, *, follow=False):
        return iter([f"toy {trial} {fold}"])

    def cancel(self, run, *, wait_seconds, tell):
        return Cancelled("no toy is at work")

    def check(self):
        yield Check("ok", "toys", "all there")
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUSTK_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    return open_store(str(tmp_path / "store"))


def rustk(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def refusal(*arguments: str) -> str:
    """The one line with which a command is refused."""
    result = rustk(*arguments)
    assert isinstance(result.exception, BadStudy), result.exception
    assert "\n" not in str(result.exception)
    return str(result.exception)


# Which flags mean something to only one of them.
ONLY = {
    "kubernetes": [
        ("--image", IMAGE),
        ("--allow-tag",),
        ("--max-live", "2"),
        ("--folds-per-job", "2"),
        ("--output", "yaml"),
        ("--namespace", "n"),
        ("--dry-run=server",),
    ],
    "local": [("--workers", "2")],
}


@pytest.mark.parametrize(
    ("backend", "flag"),
    [(backend, flag) for backend in BACKENDS for owner, flags in ONLY.items() if owner != backend for flag in flags],
)
def test_a_flag_that_a_backend_can_not_honour_is_refused(store: Store, backend: str, flag: tuple[str, ...]) -> None:
    said = refusal("submit", "regime2", "--backend", backend, *flag)
    assert said.startswith(f"{flag[0]} does not apply to the backend {backend}")
    assert store.list("") == []


@pytest.mark.parametrize("command", ["status", "wait", "logs", "cancel", "doctor"])
def test_every_command_refuses_a_namespace_where_there_are_none(store: Store, command: str) -> None:
    publish_plan(store, random_plan(trials=1, name="run"))
    run = [] if command == "doctor" else ["run"]
    assert refusal(command, *run, "--backend", "local", "--namespace", "n").startswith(
        "--namespace does not apply to the backend local"
    )


@pytest.mark.parametrize("name", BACKENDS)
def test_a_preview_says_what_would_run_and_runs_nothing(
    store: Store, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unexpected(*arguments: object, **others: object) -> None:
        raise AssertionError("something was started, or somebody was asked")

    monkeypatch.setattr("subprocess.Popen", unexpected)
    monkeypatch.setattr("rustk.backends.kubernetes.client.Cluster.__init__", unexpected)
    plan = random_plan(trials=2, name="run")
    given = {"store": "s3://bucket/prefix", "backend": name, "kubernetes": {"image": IMAGE}}
    preview = open_backend(load_settings(given), store).preview(plan, SubmitOptions())
    assert preview.sentence().startswith("6 ")
    assert store.list("") == []


@pytest.mark.parametrize("name", BACKENDS)
def test_what_every_backend_says_of_itself(store: Store, name: str) -> None:
    backend = open_backend(load_settings({"backend": name}), store)
    assert backend.name == name
    assert {"wait", "retry_failed"} <= backend.honours
    assert all(check.verdict in ("ok", "note", "fail") and "\n" not in check.found for check in backend.check())


@pytest.mark.parametrize("name", BACKENDS)
def test_a_fold_that_nobody_began_has_no_log(store: Store, name: str) -> None:
    publish_plan(store, random_plan(trials=1, name="run"))
    result = rustk("logs", "run", "--backend", name)
    assert isinstance(result.exception, RustkError)
    assert "\n" not in str(result.exception)


def test_an_unknown_backend_is_one_line(store: Store) -> None:
    assert "did you mean kubernetes?" in refusal("status", "--backend", "kubernets")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of one more file, as if it lay in rustk/backends/."""
    module = types.ModuleType("rustk.backends.toy")
    exec(TOY, module.__dict__)
    monkeypatch.setitem(sys.modules, "rustk.backends.toy", module)
    real = kinds_module.kinds

    def with_toy(room: str) -> tuple[str, ...]:
        return (*real(room), "toy") if room == "backends" else real(room)

    for where in ("rustk.vocabulary.kinds", "rustk.vocabulary.settings"):
        monkeypatch.setattr(f"{where}.kinds", with_toy)
    monkeypatch.setenv("RUSTK_BACKEND", "toy")


def test_a_backend_of_one_file_serves_every_command(store: Store, toy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = random_plan(trials=2, name="run")
    monkeypatch.setattr("rustk.cli.commands.submit.plan_from", lambda flags, store: type("P", (), {"plan": plan}))
    dry = rustk("submit", "regime2", "--dry-run=client")
    assert dry.output == "run run: 6 folds would be toys; nothing was started\n"
    assert store.list("") == []
    assert refusal("submit", "regime2", "--retry-failed").startswith("--retry-failed does not apply to the backend toy")
    assert "6 toys were made\nrun run is complete" in rustk("submit", "regime2").output
    assert "6 done" in rustk("status").output
    assert rustk("wait").exit_code == 0
    assert rustk("logs", "run", "--trial", "1").output == "toy 1 0\n"
    assert rustk("cancel", "run").output == "no toy is at work\n"
    assert "ok    toys         all there" in rustk("doctor").output
