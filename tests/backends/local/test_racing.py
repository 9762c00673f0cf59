"""A race on this machine: the pool goes on as rounds close, and a process that is killed leaves nothing to mend."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rustk.backends.base import FoldEvent, SubmitOptions
from rustk.backends.local import running
from rustk.backends.local.backend import LocalBackend
from rustk.planning.plan import Plan
from rustk.store import Store, open_store
from rustk.store.progress import RunView
from rustk.store.rounds import read_rounds
from rustk.store.runs import done_tasks, publish_plan
from rustk.vocabulary import names
from rustk.vocabulary.settings import Settings
from tests.searching.replays import raced_plan, rounds_of

ROOT = Path(__file__).parents[3]
RACE = "{kind: halving, keep: 0.5, least: 2}"
# Of the process that submits; more where somebody wants to be surer.
KILLS = int(os.environ.get("RUSTK_TEST_KILLS", "4"))


def submit(store: Store, plan: Plan, events: list[FoldEvent], monkeypatch: pytest.MonkeyPatch) -> None:
    worker = [sys.executable, "-m", "tests.backends.local.racing_worker"]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(running, "serve_command", lambda store_url, run: [*worker, store_url, run])
    LocalBackend(Settings(), store).submit(plan, SubmitOptions(workers=2), events.append)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[FoldEvent]]:
    """A raced run's store, to be read and not changed, and what was said of it meanwhile."""
    store = open_store(str(tmp_path_factory.mktemp("undisturbed")))
    plan = publish_plan(store, raced_plan(RACE, trials=8, folds=4))
    events: list[FoldEvent] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
        submit(store, plan, events, patch)
    return store, events


def test_the_pool_asks_for_more_as_rounds_close(undisturbed: tuple[Store, list[FoldEvent]]) -> None:
    store, events = undisturbed
    assert len(done_tasks(store, "raced")) == 8 + 4 + 2 + 2
    assert [event.details["round"] for event in events if event.kind == "round"] == [1, 2, 3]
    started = [(event.trial, event.fold) for event in events if event.kind == "started"]
    assert len(started) == len(set(started)) == 16
    # A worker was started once, however many rounds there were.
    assert {event.worker for event in events if event.kind == "started"} <= {0, 1}
    assert events[-1].kind in ("done", "total")
    totals = [event.details["total"] for event in events if event.kind == "total"]
    assert (totals[0], totals[-1]) == (32, 16)
    assert len(store.list(names.submissions_prefix("raced"))) == 1


def test_a_raced_run_is_complete_with_what_it_dropped(undisturbed: tuple[Store, list[FoldEvent]]) -> None:
    store, _ = undisturbed
    with LocalBackend(Settings(), store).observe("raced") as source:
        progress = RunView(store, "raced", source).progress()
    assert progress.complete
    assert progress.counts["done"] == progress.counts["dropped"] == 16
    assert progress.counts["missing"] == 0
    reasons = {fold.reason.partition(":")[0] for fold in progress.in_state("dropped")}
    assert reasons == {"dropped in round 1", "dropped in round 2"}
    described = progress.as_dict()
    assert described["unfinished"] == []
    assert len(described["dropped"]) == 16


def test_killed_at_random_instants_it_decides_the_same(
    undisturbed: tuple[Store, list[FoldEvent]], tmp_path: Path
) -> None:
    store = open_store(str(tmp_path / "killed"))
    publish_plan(store, raced_plan(RACE, trials=8, folds=4))
    command = [sys.executable, "-m", "tests.backends.local.racing_submit", store.url, "raced"]
    instants = random.Random(0)
    for _ in range(KILLS):
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(instants.uniform(0.5, 4))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
    subprocess.run(command, cwd=ROOT, check=True)
    assert rounds_of(store, "raced") == rounds_of(undisturbed[0], "raced")
    assert done_tasks(store, "raced") == done_tasks(undisturbed[0], "raced")
    for task in done_tasks(store, "raced"):
        key = names.history_key("raced", *task)
        assert store.read(key) == undisturbed[0].read(key)
    assert len(read_rounds(store, "raced")) == 3
