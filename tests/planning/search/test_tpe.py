"""A search that learns: pure, in batches, and better for having learnt. Optuna is asked; what it says is not pinned."""

import math
import subprocess
import sys
from collections.abc import Callable

import pytest

from rustk.planning.search.base import AdaptiveSearch, Hyperparameters, Told
from rustk.planning.study import Study
from rustk.vocabulary.errors import RustkError
from tests.planning.plans import study_of

PARAMETERS = (
    "training.learning_rate: {low: 1e-5, high: 1e-1, log: true}, "
    "training.batch_size: {low: 16, high: 256, type: int}, "
    "model.head: {values: [[64], [64, 32]]}, training.flips: {values: [[], [vertical]]}, "
    "training.class_weights: {values: [none, balanced]}"
)


def tpe(trials: int = 40, seed: int = 0, parameters: str = PARAMETERS, more: str = "") -> Study:
    search = f"{{kind: tpe, trials: {trials}, {more} parameters: {{{parameters}}}}}"
    return study_of(f"{{name: a, seed: {seed}, search: {search}}}")


def searcher(study: Study) -> AdaptiveSearch:
    assert isinstance(study.search, AdaptiveSearch)
    return study.search


def merit(values: Hyperparameters) -> float:
    """Greatest at a rate of 1e-3 with two layers."""
    return -abs(math.log10(float(values["learning_rate"])) + 3) - (values["head"] != "64-32")


def searched(study: Study, figure: Callable[[Hyperparameters], float | None] = merit) -> list[Told]:
    search = searcher(study)
    told = [Told(trial, figure(trial)) for trial in study.trials()]
    while len(told) < search.trials:
        count = min(search.batch, search.trials - len(told))
        told += [Told(trial, figure(trial)) for trial in search.ask(study.seed, tuple(told), len(told), count)]
    return told


@pytest.fixture(scope="module")
def learnt() -> list[Told]:
    return searched(tpe())


def test_the_first_batch_is_drawn_at_planning_and_startup_is_spread_evenly() -> None:
    study = tpe()
    first = study.trials()
    assert len(first) == 8
    spread = study_of(f"{{name: a, search: {{kind: sobol, trials: 16, parameters: {{{PARAMETERS}}}}}}}").trials()
    told = [Told(trial, merit(trial)) for trial in first]
    assert first + searcher(study).ask(0, told, 8, 8) == spread


def test_it_gathers_where_trials_were_good(learnt: list[Told]) -> None:
    figures = [one.figure for one in learnt]
    assert sum(figures[-16:]) / 16 > sum(figures[:16]) / 16 + 0.5


def test_a_batch_is_a_function_of_those_before(learnt: list[Told]) -> None:
    search = searcher(tpe())
    again = search.ask(0, learnt[:24], 24, 8)
    assert again == [one.hyperparameters for one in learnt[24:32]]
    assert search.ask(0, learnt[:24], 24, 3) == again[:3], "a batch that is cut short is the beginning of the whole one"
    assert search.ask(1, learnt[:24], 24, 8) != again
    other = [Told(one.hyperparameters, -float(one.figure or 0)) for one in learnt[:24]]
    assert search.ask(0, other, 24, 8) != again


def test_another_process_is_answered_alike(learnt: list[Told]) -> None:
    """Whatever its hashes are salted with, and in silence."""
    program = (
        "from tests.planning.search.test_tpe import *\n"
        f"told = [Told(**one) for one in {[vars(one) for one in learnt[:24]]!r}]\n"
        "print(searcher(tpe()).ask(0, told, 24, 2))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == repr([one.hyperparameters for one in learnt[24:26]])
    assert done.stderr == ""


def test_trials_of_a_batch_differ_and_lie_within_their_ranges(learnt: list[Told]) -> None:
    asked = [one.hyperparameters for one in learnt]
    assert len({tuple(values.values()) for values in asked[16:]}) == len(asked) - 16
    study = tpe()
    for values in asked:
        assert 1e-5 <= values["learning_rate"] < 1e-1
        assert isinstance(values["batch_size"], int)
        assert list(values) == ["learning_rate", "batch_size", "head", "flips", "class_weights"]
        assert study.with_hyperparameters(values).model.head == tuple(int(w) for w in str(values["head"]).split("-"))


def test_what_a_race_dropped_and_what_diverged_teach_too(learnt: list[Told]) -> None:
    """All that lived through did as well: only what diverged says where not to look. It is half of the range."""

    def figure(values: Hyperparameters) -> float | None:
        return 0.5 if float(values["learning_rate"]) < 1e-3 else None

    diverging = [one.figure is None for one in searched(tpe(64), figure)]
    assert sum(diverging[:16]) == 16 / 2
    assert sum(diverging[32:]) < 32 / 4
    dropped = [Told(one.hyperparameters, one.figure, folds=1 + n % 3) for n, one in enumerate(learnt[:24])]
    search = searcher(tpe())
    assert search.ask(0, dropped, 24, 1) != search.ask(0, learnt[:24], 24, 1)
    pending = [*learnt[:23], Told(learnt[23].hyperparameters, pending=True)]
    assert len(search.ask(0, pending, 24, 1)) == 1


def test_all_may_have_diverged() -> None:
    assert len(searched(tpe(24), lambda values: None)) == 24


def test_more_trials_extend_a_run_and_another_batch_is_another() -> None:
    assert tpe(40).decisive() == tpe(80).decisive()
    assert tpe(40).decisive() != tpe(40, more="batch: 4,").decisive()
    assert tpe(80).trials() == tpe(40).trials()


def test_without_optuna_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    study = tpe()
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(RustkError, match=r"^search\.kind = tpe: Optuna is not installed: install rustk\[search\]$"):
        study.trials()
