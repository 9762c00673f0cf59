"""The final model as one Job: trained, killed, tested once, and refused a second look."""

import json
import os
import signal

import pytest

from rustk.store import open_store
from rustk.store.seal import list_openings
from rustk.vocabulary import names

from .conftest import Workplace, eventually, kubectl
from .processes import worker_pids


@pytest.fixture(scope="module")
def finished(workplace: Workplace) -> str:
    """A complete run; its id."""
    workplace.write_settings()
    workplace.rustk("submit", workplace.study("chosen"), "--wait")
    return workplace.run_of("chosen")


def test_the_final_model_survives_its_pod_and_is_tested_once(workplace: Workplace, finished: str) -> None:
    waiting = workplace.start("final", finished, "--yes")
    (pid,) = eventually("the final model is trained", lambda: worker_pids(finished, "final"), 120)
    os.kill(pid, signal.SIGKILL)
    done = workplace.finish(waiting)
    assert f"Job {finished}-final created in namespace {workplace.namespace}" in done.out
    assert "The test split was opened once" in done.out
    (job,) = [job for job in workplace.jobs(finished) if job["metadata"]["name"] == f"{finished}-final"]
    attempts = workplace.attempts(finished, f"{finished}-final")
    assert job["status"]["failed"] == 1, attempts
    assert attempts == ["exit 137 (Error)", "exit 0 (Completed)"]
    assert job["metadata"]["labels"]["app.kubernetes.io/component"] == "final"
    card = json.loads(workplace.store.read(names.model_card_key(finished)))
    assert card["image"] == workplace.settings["image"]
    assert len(list_openings(workplace.store, card["data"]["dataset"])) == 1

    # Again: what is there is shown, and nothing is started.
    again = workplace.rustk("final", finished)
    assert "Job" not in again.out
    assert again.out == done.out[done.out.index("Macro AUROC") :]
    assert json.loads(workplace.rustk("final", finished, "--json").out)["card"] == card
    # A second look is refused before anything is created.
    refused = workplace.rustk("final", finished, "--epochs", "7", code=78)
    assert "was opened once" in refused.err
    assert len([job for job in workplace.jobs(finished) if job["metadata"]["name"].endswith("-final")]) == 1
    # What is not a fold is none of status's business.
    assert workplace.status(finished)["complete"]


def test_its_model_is_that_of_one_machine(workplace: Workplace, finished: str, tmp_path: object) -> None:
    here = open_store(f"{tmp_path}/store")
    for prefix in ("datasets/phantom/", f"runs/{finished}/"):
        for entry in workplace.store.list(prefix):
            if "/openings/" not in entry.key and "/model/" not in entry.key:
                here.write(entry.key, workplace.store.read(entry.key))
    workplace.rustk("final", finished, "--yes", "--backend", "local", "--store", here.url)
    for key in (names.test_prediction_key(finished),):
        assert here.read(key) == workplace.store.read(key)


def test_a_look_for_another_reason_replaces_the_job(workplace: Workplace, finished: str) -> None:
    done = workplace.rustk("final", finished, "--yes", "--again", "a reviewer asked", "--json")
    found = json.loads(done.out)
    assert [opening["why"] for opening in found["openings"]] == [None, "a reviewer asked"]
    (container,) = json.loads(kubectl("-n", workplace.namespace, "get", "job", f"{finished}-final", "-o", "json"))[
        "spec"
    ]["template"]["spec"]["containers"]
    assert container["args"][-2:] == ["--again", "a reviewer asked"]


def test_a_final_model_that_cannot_be_made_says_why(workplace: Workplace, finished: str) -> None:
    data = workplace.store.read(names.trials_key(finished))
    test_shard = next(e.key for e in workplace.store.list("datasets/phantom/test-") if e.key.endswith(".tfrecord"))
    whole = workplace.store.read(test_shard)
    try:
        workplace.store.write(test_shard, whole[:-7])
        refused = workplace.rustk("final", finished, "--yes", "--again", "to see it refused", code=65)
        # Of the right size, it is the Job that finds it out.
        workplace.store.write(test_shard, whole[:-7] + bytes(7))
        failed = workplace.rustk("final", finished, "--yes", "--again", "to see it fail", code=1)
    finally:
        workplace.store.write(test_shard, whole)
    assert refused.err.startswith(f"rustk: {test_shard} has {len(whole) - 7:,} bytes: expected {len(whole):,}")
    assert f"Job {finished}-final failed: exit code 65: rustk: {test_shard}" in failed.err
    assert failed.err.count("\n") == 1
    assert workplace.store.read(names.trials_key(finished)) == data
