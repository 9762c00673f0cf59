"""What can't succeed fails at once, and everyone can see why."""

import json
from collections.abc import Callable

import pytest

from rustk.vocabulary.names import run_study_key

from .conftest import FOLDS, Workplace, eventually, kubectl


def first_shard(workplace: Workplace) -> str:
    return next(e.key for e in workplace.store.list("datasets/phantom/develop-") if e.key.endswith(".tfrecord"))


def flip_a_bit(workplace: Workplace, run: str) -> Callable[[], None]:
    key = first_shard(workplace)
    whole = workplace.store.read(key)
    middle = len(whole) // 2
    workplace.store.write(key, whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    return lambda: workplace.store.write(key, whole)


def another_digest(workplace: Workplace, run: str) -> Callable[[], None]:
    key = "datasets/phantom/dataset.json"
    whole = workplace.store.read(key)
    fields = json.loads(whole)
    workplace.store.write(key, json.dumps({**fields, "digest": "0" * 64}).encode())
    return lambda: workplace.store.write(key, whole)


def other_study(**model: str) -> Callable[[Workplace, str], Callable[[], None]]:
    """A study.json that this image can't run, as another version of rustk may have written it."""

    def change(workplace: Workplace, run: str) -> Callable[[], None]:
        key = run_study_key(run)
        whole = workplace.store.read(key)
        fields = json.loads(whole)
        fields["study"]["model"].update(model)
        if "weights" in model:
            fields["weights"] = {"name": model["weights"], "sha256": "0" * 64}
        workplace.store.write(key, json.dumps(fields).encode())
        return lambda: workplace.store.write(key, whole)

    return change


CASES = {
    "corrupt-record": (flip_a_bit, 65, "develop-0000"),
    "wrong-digest": (another_digest, 65, "digest"),
    "missing-weights": (other_study(weights="imagenet"), 78, "imagenet"),
    "impossible-study": (other_study(architecture="nowhere:build"), 78, "nowhere"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_job_fails_at_once_and_says_why(workplace: Workplace, name: str) -> None:
    spoil, code, words = CASES[name]
    workplace.write_settings(suspend=True)
    # One seed a case, so that no features of an earlier one spare the reading of the shards.
    workplace.rustk("submit", workplace.study(name, seed=len(name), training={"features": "off"}))
    workplace.write_settings()
    run = workplace.run_of(name)
    restore = spoil(workplace, run)
    try:
        kubectl(
            *("-n", workplace.namespace, "patch", "job", f"{run}-t0000-f00"),
            *("--type=merge", "-p", '{"spec": {"suspend": false}}'),
        )

        def failed() -> list[dict[str, str]]:
            return [fold for fold in workplace.status(run)["unfinished"] if fold["state"] == "failed"]

        (fold,) = eventually("the fold fails", failed, 180)
    finally:
        restore()
    assert (fold["trial"], fold["fold"]) == (0, 0)
    assert fold["reason"].startswith(f"exit code {code}: ")
    assert words in fold["reason"]
    assert "\n" not in fold["reason"]
    (job,) = [job for job in workplace.jobs(run) if job["metadata"]["name"].endswith("t0000-f00")]
    assert job["status"]["failed"] == 1, workplace.attempts(run, job["metadata"]["name"])  # no second attempt
    described = kubectl("-n", workplace.namespace, "describe", "pod", "-l", f"rustk.dev/run={run}")
    (message,) = [line for line in described.splitlines() if "rustk: " in line]
    assert words in message
    workplace.rustk("cancel", run)
    assert workplace.status(run)["counts"]["failed"] == 1  # the store remembers
    assert workplace.status(run)["counts"]["missing"] == FOLDS - 1
