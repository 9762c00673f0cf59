from hypothesis import given, settings
from hypothesis import strategies as st

from rustk.cli.context import load_study
from rustk.planning.search import draw_trials
from tests.planning.plans import study_of


def test_no_search_is_one_trial() -> None:
    assert draw_trials(load_study("final")) == [{}]


def test_the_grid_of_regime2() -> None:
    trials = draw_trials(load_study("regime2"))
    assert len(trials) == 32
    assert trials[0] == {"learning_rate": 0.1, "epsilon": 0.1}
    assert trials[1] == {"learning_rate": 0.1, "epsilon": 0.01}
    assert trials[31] == {"learning_rate": 1e-4, "epsilon": 1e-8}


def test_regime1_draws_from_the_whole_of_its_ranges() -> None:
    trials = draw_trials(load_study("regime1", ["search.trials=3000"]))
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
    assert {trial["batch_size"] for trial in draw_trials(study)} == {3, 4, 5}


@settings(max_examples=30, deadline=None)
@given(few=st.integers(1, 40), more=st.integers(1, 40), seed=st.integers(0, 2**63 - 1))
def test_more_trials_keep_the_earlier_ones(few: int, more: int, seed: int) -> None:
    first = draw_trials(load_study("regime1", [f"search.trials={few}", f"seed={seed}"]))
    second = draw_trials(load_study("regime1", [f"search.trials={few + more}", f"seed={seed}"]))
    assert second[:few] == first
    assert len({tuple(trial.values()) for trial in second}) == few + more


def test_another_seed_draws_other_trials() -> None:
    assert draw_trials(load_study("regime1")) != draw_trials(load_study("regime1", ["seed=1"]))


def test_the_order_of_lines_does_not_matter() -> None:
    def drawn(parameters: str) -> list[dict[str, float | int]]:
        return draw_trials(study_of(f"{{name: a, search: {{kind: random, trials: 3, parameters: {{{parameters}}}}}}}"))

    dropout, size = "model.dropout: {low: 0, high: 0.5}", "training.batch_size: {low: 1, high: 99, type: int}"
    assert drawn(f"{dropout}, {size}") == drawn(f"{size}, {dropout}")
