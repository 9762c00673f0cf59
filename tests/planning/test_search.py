import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustk.cli.context import load_study
from rustk.planning.study import study_from_fields
from rustk.vocabulary.errors import BadStudy
from tests.planning.plans import study_of


def random_of(trials: str, dropout: str = "{low: 0, high: 0.5}") -> str:
    return f"{{kind: random, {trials}, parameters: {{model.dropout: {dropout}}}}}"


def test_no_search_is_one_trial() -> None:
    assert load_study("final").trials() == [{}]


def test_the_grid_of_regime2() -> None:
    trials = load_study("regime2").trials()
    assert len(trials) == 32
    assert trials[0] == {"learning_rate": 0.1, "epsilon": 0.1}
    assert trials[1] == {"learning_rate": 0.1, "epsilon": 0.01}
    assert trials[31] == {"learning_rate": 1e-4, "epsilon": 1e-8}


def test_regime1_draws_from_the_whole_of_its_ranges() -> None:
    trials = load_study("regime1", ["search.trials=3000"]).trials()
    sizes = [trial["batch_size"] for trial in trials]
    dropouts = [trial["dropout"] for trial in trials]
    assert all(isinstance(size, int) for size in sizes)
    assert min(sizes) >= 16
    assert max(sizes) <= 2048
    assert min(sizes) < 40
    assert max(sizes) > 2020
    assert 0 <= min(dropouts) < 0.01
    assert 0.49 < max(dropouts) < 0.5


def test_both_ends_of_an_integer_range_are_drawn() -> None:
    study = study_of(
        "{name: a, search: {kind: random, trials: 200, parameters: "
        "{training.batch_size: {low: 3, high: 5, type: int}}}}"
    )
    assert {trial["batch_size"] for trial in study.trials()} == {3, 4, 5}


@settings(max_examples=30, deadline=None)
@given(few=st.integers(1, 40), more=st.integers(1, 40), seed=st.integers(0, 2**63 - 1))
def test_more_trials_keep_the_earlier_ones(few: int, more: int, seed: int) -> None:
    first = load_study("regime1", [f"search.trials={few}", f"seed={seed}"]).trials()
    second = load_study("regime1", [f"search.trials={few + more}", f"seed={seed}"]).trials()
    assert second[:few] == first
    assert len({tuple(trial.values()) for trial in second}) == few + more


def test_another_seed_draws_other_trials() -> None:
    assert load_study("regime1").trials() != load_study("regime1", ["seed=1"]).trials()


def test_the_order_of_lines_does_not_matter() -> None:
    def drawn(parameters: str) -> list[dict[str, float | int]]:
        return study_of(f"{{name: a, search: {{kind: random, trials: 3, parameters: {{{parameters}}}}}}}").trials()

    dropout, size = "model.dropout: {low: 0, high: 0.5}", "training.batch_size: {low: 1, high: 99, type: int}"
    assert drawn(f"{dropout}, {size}") == drawn(f"{size}, {dropout}")


def test_trials_are_those_of_earlier_runs() -> None:
    """Pinned: another draw would be another result under the same run's id."""
    assert load_study("regime1").trials()[0] == {"batch_size": 1055, "dropout": 0.31848084366072715}


def grid_of(parameters: str) -> str:
    return f"{{name: a, search: {{kind: grid, parameters: {{{parameters}}}}}}}"


@pytest.mark.timeout(60)
def test_a_grid_of_billions_is_refused_at_once() -> None:
    rates = f"[{', '.join(f'{number}e-6' for number in range(1, 301))}]"
    sizes = f"[{', '.join(map(str, range(1, 301)))}]"
    dropouts = f"[{', '.join(f'{number}e-4' for number in range(300))}]"
    every = f"training.learning_rate: {rates}, training.epsilon: {rates}, training.batch_size: {sizes}"
    with pytest.raises(BadStudy, match=r"search\.parameters: a grid of 8,100,000,000 trials: expected at most 100,000"):
        study_of(grid_of(f"{every}, model.dropout: {dropouts}"))


@pytest.mark.timeout(60)
def test_a_long_list_is_checked_in_linear_time() -> None:
    values = tuple(range(1, 50_001))
    start = time.process_time()
    study = study_from_fields(
        {"name": "a", "search": {"kind": "grid", "parameters": {"training.batch_size": values}}}, "test.yaml"
    )
    assert len(study.with_hyperparameters({"batch_size": 3}).trials()) == 1
    assert len(study.trials()) == 50_000
    assert time.process_time() - start < 10  # it is one second; checked value by value in the whole study, an hour


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ("5", "search = 5: expected the fields kind and parameters"),
        ("[]", "search = []: expected the fields kind and parameters"),
        ("{}", "search.kind = null: expected one of grid, random"),
        ("{kind: 5}", "search.kind = 5: expected one of grid, random"),
        ("{kind: gird}", "search.kind = 'gird': did you mean grid?"),
        ("{kind: base}", "search.kind = 'base': "),
        ("{kind: grid}", "search.parameters: missing"),
        ("{kind: grid, parameters: {}}", "search.parameters: "),
        ("{kind: grid, parameters: [1]}", "search.parameters = [1]: "),
        ("{kind: grid, parameters: {training.epsilon: 1}}", "search.parameters.training.epsilon = 1: "),
        ("{kind: grid, parameters: {training.epsilon: []}}", "search.parameters.training.epsilon = []: "),
        ("{kind: grid, parameters: {training.epsilon: [x]}}", "search.parameters.training.epsilon: 'x': expec"),
        ("{kind: grid, parameters: {model.head: [[8], [8, -2]]}}", "search.parameters.model.head.1 = -2: expected at"),
        ("{kind: grid, parameters: {training.epsilon: [true]}}", "search.parameters.training.epsilon: true: exp"),
        ("{kind: grid, parameters: {training.epsilon: [.nan]}}", "search.parameters.training.epsilon.0 = nan: "),
        ("{kind: grid, parameters: {training.epsilon: [-1]}}", "search.parameters.training.epsilon = -1.0: expected "),
        (f"{{kind: grid, parameters: {{training.epsilon: [{10**4000}]}}}}", "search.parameters.training.epsilon.0 = 1"),
        ("{kind: grid, parameters: {training.batch_size: [1.5]}}", "search.parameters.training.batch_size: 1.5: exp"),
        ("{kind: grid, parameters: {training.batch_size: [8, 8.0]}}", "search.parameters.training.batch_size: a va"),
        ("{kind: grid, parameters: {model.heads: [8]}}", "there is no field 'model.heads'; did you mean model.head?"),
        ("{kind: grid, trials: 3, parameters: {model.dropout: [0]}}", "there is no field search.trials; expected"),
        ("{kind: random, parameters: {model.dropout: {low: 0, high: 1}}}", "search.trials: missing"),
        (random_of("trials: 0"), "search.trials = 0: "),
        (random_of("trials: 1e9"), "search.trials = 1000000000.0: "),
        (random_of("trials: 1000000"), "search.trials = 1000000: expected at most 100000"),
        (random_of("trials: 2", "{low: 0}"), "search.parameters.model.dropout.high: missing"),
        (random_of("trials: 2", "{low: 0, high: 0}"), "search.parameters.model.dropout: low 0 must be below high 0"),
        (random_of("trials: 2", "{low: 0, high: 2}"), "search.parameters.model.dropout = 1.99"),
        (random_of("trials: 2", "{low: 0, high: 1e19}"), "search.parameters.model.dropout.high = 1e+19: "),
        (random_of("trials: 2", "{low: 0, high: 1, step: 2}"), "no field search.parameters.model.dropout.step"),
    ],
)
def test_nonsense_in_a_search_is_one_line(search: str, message: str) -> None:
    with pytest.raises(BadStudy) as caught:
        study_of(f"{{name: a, search: {search}}}")
    assert message in str(caught.value)
    assert str(caught.value).startswith("test.yaml: ")
    assert len(str(caught.value)) < 400
