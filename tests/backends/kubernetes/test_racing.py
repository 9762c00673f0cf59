"""A race against an API server that keeps Jobs: each round's Jobs are made once the one before is decided."""

from pathlib import Path

import pytest

from rustk.backends.base import SubmitOptions
from rustk.backends.kubernetes.manifests import job_tasks
from rustk.store.progress import RunView
from rustk.store.rounds import read_rounds
from rustk.store.runs import done_tasks, publish_plan
from tests.searching.replays import made_up, put_history, raced_plan

from .api import Namespace
from .conftest import Server, write_kubeconfig
from .test_submit import Place

RACE = "{kind: halving, keep: 0.5, least: 2}"


class Raced(Place):
    """Six trials of four folds, and Jobs that end when told to."""

    def __init__(self, directory: Path, namespace: Namespace) -> None:
        super().__init__(directory, namespace)
        self.plan = publish_plan(self.store, raced_plan(RACE, trials=6, folds=4))
        self.curves = made_up(6, 4)

    def train(self) -> int:
        """Let all Jobs that are alive leave their histories and succeed; how many folds that were."""
        trained = 0
        for name, job in self.namespace.jobs.items():
            if not job.get("status"):
                for task in job_tasks(job):
                    put_history(self.store, self.plan.run, task, self.curves[task])
                    trained += 1
                self.namespace.end(name, "Complete")
        return trained


@pytest.fixture
def raced(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Raced:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", server.url)))
    monkeypatch.chdir(tmp_path)
    namespace = Namespace()
    server.answer = namespace.answer
    return Raced(tmp_path, namespace)


def test_each_round_is_created_once_the_one_before_is_decided(raced: Raced) -> None:
    backend = raced.backend()
    assert (
        "6 Jobs would be created in namespace rustk, and then others"
        in backend.preview(raced.plan, SubmitOptions()).sentence()
    )
    submitted = backend.submit(raced.plan, SubmitOptions(), lambda event: None)
    assert (submitted.started, submitted.complete) == (6, False)
    assert not backend.advance(raced.plan)  # nothing more may be trained yet
    assert raced.train() == 6
    assert backend.advance(raced.plan)
    assert len(read_rounds(raced.store, "raced")) == 1
    assert raced.train() == 3
    # Of the two that are left the race drops nobody: both folds that are left may be trained at once.
    assert backend.advance(raced.plan)
    assert raced.train() == 4
    assert not backend.advance(raced.plan)
    with backend.observe("raced") as source:
        progress = RunView(raced.store, "raced", source).progress()
    assert progress.complete
    assert (progress.counts["done"], progress.counts["dropped"]) == (13, 11)
    assert backend.submit(raced.plan, SubmitOptions(), lambda event: None).complete


def test_another_submit_goes_on_as_a_cron_job_does(raced: Raced) -> None:
    made = []
    while "0 Jobs created" not in raced.submit(folds_per_job=4):
        made.append(raced.train())
    assert made == [6, 3, 4]


def test_who_waits_makes_no_job_again_that_was_cancelled(raced: Raced) -> None:
    waiting = raced.backend()
    assert waiting.advance(raced.plan)
    raced.backend().cancel("raced", wait_seconds=0, tell=lambda line: None)
    assert not raced.namespace.jobs
    assert not waiting.advance(raced.plan)
    assert "6 Jobs created" in raced.submit()


def test_a_failed_fold_holds_its_round_until_it_is_tried_again(raced: Raced) -> None:
    raced.submit()
    first = sorted(raced.namespace.jobs)[0]
    raced.namespace.end(first, "Failed", "PodFailurePolicy")
    raced.train()
    held = raced.submit()
    assert "1 fold failed" in held
    assert "2 Jobs created" in held  # of trials that are certain to stay
    assert not read_rounds(raced.store, "raced")
    assert "1 Job created" in raced.submit(retry_failed=True)
    while raced.train():
        raced.submit()
    assert len(done_tasks(raced.store, "raced")) == 13
