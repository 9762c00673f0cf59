from pathlib import Path

import numpy as np
import pytest

from rustk.searching.run_search import RunSearch
from rustk.store import Store, open_store
from rustk.store.runs import publish_plan
from rustk.vocabulary import names
from rustk.vocabulary.errors import RustkError
from tests.planning.plans import random_plan
from tests.searching.replays import made_up, put_history, raced_plan, rounds_of, run_through

from .conftest import Rustk
from .planned import plan


def test_wait_for_what_is_complete(store: Store, rustk: Rustk) -> None:
    plan(store, "done-00000001", done=6)
    result = rustk("wait")
    assert result.exit_code == 0
    assert "6 of 6 folds are done" in result.output
    assert "complete: rustk aggregate done-00000001" in result.output


def test_wait_names_what_nobody_works_on(store: Store, rustk: Rustk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rustk.cli.commands.wait._PATIENCE_SECONDS", 0.5)
    plan(store, "study-00000001", done=4, failed="the reason")
    result = rustk("wait", "study")
    assert type(result.exception) is RustkError
    assert "1 failed: trial 1 fold 2 (exit code 65: the reason)" in str(result.exception)
    assert "1 missing, with nothing at work on them: trial 1 fold 1" in str(result.exception)


def test_wait_has_an_end(store: Store, rustk: Rustk) -> None:
    plan(store, "study-00000001")
    result = rustk("wait", "--timeout", "0")
    assert isinstance(result.exception, RustkError)
    assert result.exception.exit_code == 124


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "1e300"])
def test_a_timeout_is_a_time(store: Store, rustk: Rustk, seconds: str) -> None:
    plan(store, "study-00000001")
    result = rustk("wait", "--timeout", seconds)
    assert result.exit_code != 0
    assert not isinstance(result.exception, OverflowError | ValueError)


def test_the_backend_is_asked_to_go_on_until_all_is_done(
    store: Store, rustk: Rustk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that trains one fold whenever it is asked."""
    planned = publish_plan(store, random_plan(trials=2, name="run"))
    asked = 0

    def advance(backend: object, plan: object) -> bool:
        nonlocal asked
        store.write(names.history_key("run", *planned.tasks[asked]), b"history")
        asked += 1
        return True

    monkeypatch.setattr("rustk.backends.local.backend.LocalBackend.advance", advance)
    monkeypatch.setattr("rustk.backends.local.backend._POLL_SECONDS", 0.0)
    result = rustk("wait", "run")
    assert result.exit_code == 0, result.exception
    assert asked == 6
    assert "complete" in result.output


def test_rounds_that_nobody_had_to_wait_for_are_decided_at_the_end(store: Store, rustk: Rustk, tmp_path: Path) -> None:
    """A race that drops nobody any more has all folds left trained at once, and nobody asks after each round."""
    raced, curves = raced_plan("{kind: halving, least: 2}", trials=4, folds=5), made_up(4, 5)
    planned = publish_plan(store, raced)
    while tasks := RunSearch(store, planned).next().tasks:
        for trial, fold in tasks:
            put_history(store, "raced", (trial, fold), curves[trial, fold])
        if len(tasks) > 4:
            break
    assert len(rounds_of(store, "raced")) == 1
    assert rustk("wait", "raced").exit_code == 0
    elsewhere = open_store(str(tmp_path / "elsewhere"))
    run_through(elsewhere, raced, curves, np.random.default_rng(0))
    assert rounds_of(store, "raced") == rounds_of(elsewhere, "raced")
    assert len(rounds_of(store, "raced")) == 4
