"""This machine as a backend, with workers that do as a script tells."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rustk.backends.base import FinalRequest, FoldEvent, SubmitOptions
from rustk.backends.local.backend import LocalBackend
from rustk.planning.plan import Plan
from rustk.store import Store, open_store
from rustk.store.progress import RunView
from rustk.store.runs import done_tasks, publish_plan
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadStudy, RustkError
from rustk.vocabulary.settings import Settings, load_settings
from tests.planning.plans import plan_of, random_plan, study_of

SCRIPTED = Path(__file__).with_name("scripted_worker.py")
RUN = "searched-1"


class Place:
    """A published plan of 2 trials of 3 folds, and what its workers do."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store: Store = open_store(str(directory / "store"))
        self.plan: Plan = publish_plan(self.store, random_plan(trials=2, name=RUN))
        self.events: list[FoldEvent] = []
        self.script = directory / "script"
        self.script.mkdir()

    @property
    def command(self) -> list[str]:
        return [sys.executable, str(SCRIPTED), str(self.script), f"{self.store.url}/{names.run_prefix(RUN)}"]

    def backend(self, **settings: object) -> LocalBackend:
        return LocalBackend(Settings(**settings), self.store)  # type: ignore[arg-type]

    def submit(self, **settings: object) -> int:
        """How many folds a submit trained."""
        return self.backend(**settings).submit(self.plan, SubmitOptions(workers=2), self.events.append).started

    def says(self, trial: int, fold: int, acts: str) -> None:
        (self.script / f"{trial}-{fold}").write_text(acts)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Place(tmp_path)
    monkeypatch.setattr("rustk.backends.local.running.serve_command", lambda store_url, run: made.command)
    return made


def test_what_is_missing_is_trained_and_nothing_twice(place: Place) -> None:
    place.store.write(names.history_key(RUN, 0, 1), b"history")
    assert place.submit() == 5
    assert place.events[0] == FoldEvent("total", details={"done": 1, "total": 6})
    assert done_tasks(place.store, RUN) == set(place.plan.tasks)
    assert len(place.store.list(names.submissions_prefix(RUN))) == 1
    assert place.submit() == 0
    assert len(place.store.list(names.submissions_prefix(RUN))) == 1


def test_the_folds_that_failed_are_told_and_tried_again_by_the_next_submit(place: Place) -> None:
    place.says(0, 1, "65 ok")
    with pytest.raises(RustkError, match=r"^trial 0 fold 1: reason 65$") as raised:
        place.submit()
    assert raised.value.exit_code == 65
    place.submit()
    assert done_tasks(place.store, RUN) == set(place.plan.tasks)


def test_a_fold_that_says_done_without_a_history_does_not_go_round_for_ever(place: Place) -> None:
    place.says(1, 1, "forget")
    with pytest.raises(RustkError, match="1 fold of run searched-1 ended without a history"):
        place.submit()


def test_the_settings_s3_server_reaches_the_workers(place: Place) -> None:
    place.submit(s3_endpoint_url="https://s3.example.org")
    lines = list(place.backend().logs(RUN, 1, 2))
    assert lines[0] == "at 1-2 with endpoint https://s3.example.org"


def test_the_log_of_a_fold_is_its_part_of_its_workers(place: Place) -> None:
    place.says(0, 0, "crash ok")
    place.submit()
    assert list(place.backend().logs(RUN, 0, 2)) == [
        "at 0-2 with endpoint None",
        "[trial 0 fold 2] epoch epoch=1 epochs=1 val_auroc=0.5000 loss=1.0000",
        "[trial 0 fold 2] done outcome=completed",
    ]
    # Of a fold that was tried again, the last try.
    assert list(place.backend().logs(RUN, 0, 0))[-1] == "[trial 0 fold 0] done outcome=completed"
    with pytest.raises(RustkError, match="trial 9 fold 0 has no log on this machine"):
        place.backend().logs(RUN, 9, 0)


PROGRAM = """
import json, sys
from rustk.backends.base import SubmitOptions
from rustk.backends.local import running, worker
from rustk.backends.local.backend import LocalBackend
from rustk.store import open_store
from rustk.store.runs import load_plan
from rustk.vocabulary.errors import RustkError
from rustk.vocabulary.settings import Settings
command = json.loads(sys.argv[3])
worker._STOP_SECONDS = 0.3
running.serve_command = lambda store_url, run: command
store = open_store(sys.argv[1])
try:
    LocalBackend(Settings(), store).submit(load_plan(store, sys.argv[2]), SubmitOptions(workers=1), lambda event: None)
except RustkError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_another_process_is_seen_followed_and_cancelled(place: Place) -> None:
    place.says(0, 1, "hang")
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, place.store.url, RUN, json.dumps(place.command)],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        text=True,
    )
    backend = place.backend()
    deadline = time.monotonic() + 60
    counts: dict[str, int] = {}
    with backend.observe(RUN) as source:
        while counts.get("running") != 1 or counts["done"] != 1:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
            counts = {str(state): count for state, count in RunView(place.store, RUN, source).progress().counts.items()}
    assert counts["pending"] == 4
    followed = backend.logs(RUN, 0, 1, follow=True)
    assert next(followed) == "at 0-1 with endpoint None"
    assert not backend.advance(place.plan)
    assert "was asked to stop" not in backend.cancel(RUN, wait_seconds=30, tell=print).sentence
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM: 1 of 6 folds are done; submit again to finish the rest" in out
    list(followed)  # it ends with the process
    assert "nothing is at work" in backend.cancel(RUN, wait_seconds=1, tell=print).sentence


@pytest.mark.parametrize(
    ("program", "message", "code"),
    [
        ("print('epoch 1'); sys.stderr.write('noise\\nrustk: no such trial\\n'); sys.exit(65)", "no such trial", 65),
        ("os.kill(os.getpid(), 9)", "the worker was killed by signal 9: the same command goes on", 1),
    ],
)
def test_a_final_model_that_fails_says_why(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, message: str, code: int
) -> None:
    fake = tmp_path / "python"
    fake.write_text(
        f"#!{sys.executable}\nimport os, sys\nassert sys.argv[2:4] == ['rustk.training', 'final']\n{program}\n"
    )
    fake.chmod(0o755)
    monkeypatch.setattr("rustk.backends.local.running.sys.executable", str(fake))
    told: list[str] = []
    with pytest.raises(RustkError) as raised:
        place.backend().train_final(place.plan, FinalRequest(given_trial=1), told.append)
    assert (str(raised.value), raised.value.exit_code) == (message, code)
    assert told == (["epoch 1"] if code == 65 else [])


def test_what_every_worker_would_end_with_is_said_before_a_run_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(str(tmp_path / "store"))
    backend = LocalBackend(load_settings({"store": store.url}), store)
    study = study_of("{name: own, model: {architecture: 'no_such_module_here:f', weights: random}, folds: {k: 2}}")
    with pytest.raises(BadStudy, match="there is no module no_such_module_here here: install it"):
        backend.preview(plan_of(study, images=8, name="own"), SubmitOptions())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no_such_module_here.py").write_text("f = None")
    assert backend.preview(plan_of(study, images=8, name="own"), SubmitOptions()).sentence().startswith("2 folds")
    monkeypatch.setenv("RUSTK_THREADS", "many")
    with pytest.raises(BadStudy, match="RUSTK_THREADS='many': expected how many threads"):
        backend.preview(plan_of(study, images=8, name="own"), SubmitOptions())
