"""Submitting folds and batches against an API server that keeps Jobs, and a store that keeps histories."""

from pathlib import Path

import pytest

from rustk.backends.base import SubmitOptions
from rustk.backends.kubernetes.backend import KubernetesBackend
from rustk.backends.kubernetes.manifests import job_tasks
from rustk.planning.batches import FoldTask
from rustk.planning.plan import Plan
from rustk.store import Store, open_store
from rustk.store.documents import Failure, Submission, read_document, write_document
from rustk.store.progress import RunView
from rustk.store.runs import publish_plan
from rustk.vocabulary import names
from rustk.vocabulary.settings import Settings, load_settings
from tests.planning.plans import random_plan

from .api import Namespace
from .conftest import Server, write_kubeconfig

IMAGE = "registry.example.org/worker@sha256:" + "a" * 64
RUN = "searched-1"


class Place:
    """A published plan of 2 trials of 3 folds, a store and a cluster."""

    def __init__(self, directory: Path, namespace: Namespace) -> None:
        self.store: Store = open_store(str(directory / "store"))
        self.namespace = namespace
        self.plan: Plan = publish_plan(self.store, random_plan(trials=2, name=RUN))

    def backend(self, **kubernetes: object) -> KubernetesBackend:
        made: Settings = load_settings(
            {"store": "s3://bucket/prefix", "backend": "kubernetes", "kubernetes": {"image": IMAGE, **kubernetes}}
        )
        return KubernetesBackend(made, self.store)

    def submit(self, retry_failed: bool = False, **kubernetes: object) -> str:
        """What a submit says, in one text."""
        options = SubmitOptions(retry_failed=retry_failed)
        return "\n".join(self.backend(**kubernetes).submit(self.plan, options, lambda event: None).sentences)

    def history(self, *task: int) -> None:
        self.store.write(names.history_key(RUN, *task), b"history")

    def failure(self, trial: int, fold: int) -> None:
        record = Failure(trial=trial, fold=fold, exit_code=65, message="the shard is corrupt")
        write_document(self.store, names.failure_key(RUN, trial, fold), record)

    @property
    def batches(self) -> list[tuple[FoldTask, ...]]:
        return sorted(job_tasks(job) for job in self.namespace.jobs.values())

    def states(self) -> dict[FoldTask, str]:
        with self.backend().observe(RUN) as source:
            folds = RunView(self.store, RUN, source).progress().folds
        return {(fold.trial, fold.fold): fold.state for fold in folds}


@pytest.fixture
def place(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", server.url)))
    monkeypatch.chdir(tmp_path)
    namespace = Namespace()
    server.answer = namespace.answer
    return Place(tmp_path, namespace)


def test_one_job_a_fold_and_a_second_submit_writes_nothing(place: Place) -> None:
    assert "6 Jobs created in namespace rustk; 0 folds done, 0 Jobs live" in place.submit()
    assert place.batches == [((trial, fold),) for trial in range(2) for fold in range(3)]
    assert place.namespace.dry_runs == 1
    before = dict(place.namespace.jobs)
    (record,) = place.store.list(names.submissions_prefix(RUN))
    assert read_document(place.store, record.key, Submission).folds == 6
    assert "0 Jobs created in namespace rustk; 0 folds done, 6 Jobs live" in place.submit()
    assert place.namespace.jobs == before
    assert place.store.list(names.submissions_prefix(RUN)) == [record]


def test_of_a_complete_run_no_job_is_asked_about(place: Place, server: Server) -> None:
    for trial in range(2):
        for fold in range(3):
            place.store.write(names.history_key(RUN, trial, fold), b"")
    assert "0 Jobs created: nothing of the run is left to train; 6 folds done" in place.submit()
    assert not server.asked


def test_batches_are_cut_from_what_is_missing(place: Place) -> None:
    place.history(0, 1)
    assert "2 Jobs created" in place.submit(folds_per_job=3)
    assert place.batches == [((0, 0), (0, 2), (1, 0)), ((1, 1), (1, 2))]
    assert "0 Jobs created" in place.submit()  # whatever they are submitted as, somebody is at work on them
    assert place.states() == {
        task: "done" if task == (0, 1) else "pending" for task in [(t, f) for t in range(2) for f in range(3)]
    }


def test_the_folds_of_a_failed_batch_wait_for_retry_failed(place: Place) -> None:
    place.submit(folds_per_job=3)
    (first, second) = sorted(place.namespace.jobs, key=lambda name: job_tasks(place.namespace.jobs[name]))
    place.history(0, 0)
    place.failure(0, 1)
    place.namespace.end(first, "Failed", "PodFailurePolicy")
    states = place.states()
    assert [states[0, fold] for fold in range(3)] == ["done", "failed", "failed"]
    said = place.submit(folds_per_job=3)
    assert "0 Jobs created in namespace rustk; 1 fold done, 1 Job live" in said
    assert "2 folds failed (trial 0 fold 1, ...)" in said
    assert first in place.namespace.jobs
    assert "1 Job created" in place.submit(folds_per_job=3, retry_failed=True)
    assert place.batches == [((0, 1), (0, 2)), ((1, 0), (1, 1), (1, 2))]
    assert first not in place.namespace.jobs
    assert second in place.namespace.jobs
    assert place.store.list(names.failures_prefix(RUN)) == []


def test_a_batch_that_ended_and_is_made_again_is_not_taken_for_alive(place: Place) -> None:
    """Folds of an ended batch were tried one by one since, and are now to be that very batch again."""
    place.submit(folds_per_job=6)
    (batch,) = place.namespace.jobs
    place.namespace.end(batch, "Failed", "BackoffLimitExceeded")
    kept = place.namespace.jobs[batch]
    place.submit(retry_failed=True)
    place.namespace.jobs[batch] = kept  # as when it could not be deleted
    for name in list(place.namespace.jobs):
        place.namespace.end(name, "Failed", "BackoffLimitExceeded")
    assert "1 Job created" in place.submit(folds_per_job=6, retry_failed=True)
    assert list(place.namespace.jobs) == [batch]
    assert not place.namespace.jobs[batch]["status"]


def test_a_job_that_succeeded_without_a_history_is_made_again(place: Place) -> None:
    place.submit()
    place.namespace.end(f"{RUN}-t0000-f00", "Complete")
    place.namespace.end(f"{RUN}-t0000-f01", "Complete")
    place.history(0, 1)
    assert place.states()[0, 0] == "no history"
    before = {name: job["metadata"]["uid"] for name, job in place.namespace.jobs.items()}
    assert "1 Job created in namespace rustk; 1 fold done, 4 Jobs live" in place.submit()
    after = {name: job["metadata"]["uid"] for name, job in place.namespace.jobs.items()}
    assert {name for name in before if after[name] != before[name]} == {f"{RUN}-t0000-f00"}


def test_max_live_bounds_the_jobs_and_advance_goes_on(place: Place) -> None:
    said = place.submit(max_live=2, folds_per_job=2)
    assert "2 Jobs created" in said
    assert "2 more folds wait for room below max_live = 2" in said
    backend = place.backend(max_live=2, folds_per_job=2)
    assert backend.advance(place.plan)  # there is no room, but there will be
    assert len(place.batches) == 2
    first = next(iter(place.namespace.jobs))
    for task in job_tasks(place.namespace.jobs[first]):
        place.history(*task)
    place.namespace.end(first, "Complete")
    assert backend.advance(place.plan)
    assert place.batches == [((0, 0), (0, 1)), ((0, 2), (1, 0)), ((1, 1), (1, 2))]
    for name in place.namespace.jobs:
        place.namespace.end(name, "Complete")
    for trial, fold in place.plan.tasks:
        place.history(trial, fold)
    assert not backend.advance(place.plan)


def test_failed_folds_that_must_wait_for_room_are_tried_without_asking_twice(place: Place) -> None:
    for task in ((0, 0), (0, 1), (0, 2)):
        place.failure(*task)
    place.submit(max_live=1, retry_failed=True)
    assert place.batches == [((0, 0),)]
    place.history(0, 0)
    place.namespace.jobs.clear()
    assert place.backend(max_live=1).advance(place.plan)
    assert place.batches == [((0, 1),)]


def test_who_waits_makes_no_jobs_that_were_cancelled(place: Place) -> None:
    place.submit()
    place.namespace.jobs.clear()
    assert not place.backend().advance(place.plan)
    assert place.batches == []


def test_a_preview_creates_nothing(place: Place) -> None:
    place.history(0, 0)
    preview = place.backend(folds_per_job=2).preview(place.plan, SubmitOptions(), ask_server=True)
    assert preview.sentence() == "3 Jobs would be created in namespace rustk, and the API server would take them"
    assert preview.yaml is not None
    assert preview.yaml().count("kind: Job") == 3
    assert place.namespace.dry_runs == 1
    assert place.namespace.jobs == {}


def test_the_log_of_a_fold_of_a_batch_is_its_part(place: Place) -> None:
    place.submit(folds_per_job=3)
    name = next(name for name, job in place.namespace.jobs.items() if (1, 1) in job_tasks(job))
    place.namespace.pods = [
        {
            "metadata": {
                "name": "pod",
                "labels": {"rustk.dev/run": RUN, "batch.kubernetes.io/job-name": name},
                "creationTimestamp": "2025-01-01T00:00:00Z",
            },
            "spec": {},
            "status": {"phase": "Running"},
        }
    ]
    place.namespace.logs["pod"] = (
        "epoch trial=1 fold=0 epoch=1\ndone trial=1 fold=0 outcome=completed\nstarting\n"
        "epoch trial=1 fold=1 epoch=1\nodd\nepoch trial=1 fold=1 epoch=2\nepoch trial=1 fold=2 epoch=1\n"
    )
    assert list(place.backend().logs(RUN, 1, 1)) == [
        "starting",
        "epoch trial=1 fold=1 epoch=1",
        "odd",
        "epoch trial=1 fold=1 epoch=2",
    ]


def test_who_waits_goes_on_with_the_image_that_was_submitted(place: Place) -> None:
    place.submit(max_live=1)
    place.history(0, 0)
    place.namespace.jobs.clear()
    # The tag of the settings may stand for another image by now.
    assert place.backend(max_live=1, image="worker:1").advance(place.plan)
    (job,) = place.namespace.jobs.values()
    assert job["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGE
