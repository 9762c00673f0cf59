"""The rules of races, each round by itself, and how much they may cost."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rustk.planning.races.base import RaceSpec, Standing, merit
from rustk.planning.races.bootstrap import Race as Bootstrap
from rustk.planning.races.halving import Race as Halving
from rustk.planning.rounds import RaceBounds, race_bounds
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.kinds import kinds, load_kind
from tests.planning.plans import plan_of, study_of
from tests.searching.replays import raced_plan

# Few values, so that ties and twins are frequent; NaN: diverged.
FIGURES = st.sampled_from([0.5, 0.6, 0.7, 0.7 + 1e-15, 0.8, math.nan])
CURVES = arrays.arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 3), st.just(2)), elements=FIGURES)
RULES = st.one_of(
    st.builds(Halving, keep=st.sampled_from([0.1, 0.5, 0.9]), least=st.integers(1, 4)),
    st.builds(Bootstrap, confidence=st.sampled_from([0.6, 0.99])),
)


def standing_of(curves: np.ndarray, whole: int = 0) -> Standing:
    count = len(curves)
    resampled = np.stack([np.full(100, np.nan if (value := merit(own)) is None else value) for own in curves])
    return Standing(tuple(range(count - whole)), curves, tuple(range(count - whole, count)), resampled)


@given(RULES, CURVES)
def test_the_best_and_its_equals_stay_and_the_diverged_lose(rule: RaceSpec, curves: np.ndarray) -> None:
    standing = standing_of(curves)
    verdict = rule.decide(standing)
    assert sorted([*verdict.kept, *(one.trial for one in verdict.dropped)]) == list(standing.trials)
    assert rule.keeps(standing.trials, (), verdict.figures) == verdict.kept
    figures = {trial: figure for trial, figure in standing.merits.items() if figure is not None}
    if not figures:
        assert verdict.kept == standing.trials
        return
    best = max(figures.values())
    assert {trial for trial, figure in figures.items() if figure >= best - 1e-12} <= set(verdict.kept)
    for one in verdict.dropped:
        assert one.best_figure == pytest.approx(best)
        assert one.figure is None or one.figure < best
    # Nobody is kept for a place in a list: equals stay or go together.
    for trial in verdict.kept:
        equals = {other for other, figure in figures.items() if trial in figures and figure == figures[trial]}
        assert equals <= set(verdict.kept)
    if len(verdict.kept) < len(standing.trials):
        assert all(trial in figures for trial in verdict.kept)


@given(RULES, CURVES, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(rule: RaceSpec, curves: np.ndarray, random: object) -> None:
    order = list(range(len(curves)))
    random.shuffle(order)  # type: ignore[attr-defined]
    one, other = standing_of(curves), standing_of(curves[order])
    shuffled = Standing(tuple(order), other.curves, (), other.resampled)
    assert set(rule.decide(one).kept) == set(rule.decide(shuffled).kept)


@given(RULES, CURVES, st.data())
def test_who_is_certain_is_kept_whatever_comes(rule: RaceSpec, curves: np.ndarray, data: st.DataObject) -> None:
    standing = standing_of(curves)
    pending = data.draw(st.sets(st.sampled_from(standing.trials), min_size=1))
    known = curves.copy()
    known[sorted(pending), -1] = np.nan
    partial = Standing(standing.trials, known, pending=frozenset(pending))
    assert set(rule.certain(partial)) <= set(rule.decide(standing).kept)


@given(RULES, CURVES, st.integers(0, 3))
def test_whole_trials_are_compared_with_and_not_dropped(rule: RaceSpec, curves: np.ndarray, whole: int) -> None:
    standing = standing_of(curves, min(whole, len(curves) - 1))
    verdict = rule.decide(standing)
    assert {*verdict.kept, *(one.trial for one in verdict.dropped)} == set(standing.trials)
    assert set(verdict.figures) == set(standing.compared)
    finite = not np.isnan(curves).any()
    if finite:
        assert len(verdict.kept) >= rule.fewest_kept(len(standing.trials), len(standing.whole))
    if rule.settled(len(standing.trials), len(standing.whole)):
        assert verdict.kept == standing.trials


def test_halving_keeps_the_better_half_and_no_fewer_than_its_least() -> None:
    curves = np.arange(20)[:, None, None] / 100 + np.full((20, 1, 1), 0.5)
    assert Halving().decide(standing_of(curves)).kept == tuple(range(10, 20))
    assert Halving(keep=0.1).decide(standing_of(curves)).kept == tuple(range(12, 20))
    assert Halving(keep=0.1, least=1).decide(standing_of(curves)).kept == (18, 19)
    dropped = Halving().decide(standing_of(curves)).dropped[0]
    assert (dropped.trial, dropped.best, dropped.why) == (0, 19, "not among the best 10 of 20 trials")


def test_bootstrap_drops_what_loses_in_more_than_its_confidence() -> None:
    curves = np.array([0.8, 0.79, 0.7])[:, None, None]
    resampled = np.full((3, 1000), 0.75)
    resampled[1, :990] = 0.7
    resampled[2, :991] = 0.7
    verdict = Bootstrap().decide(Standing((0, 1, 2), curves, resampled=resampled))
    assert verdict.kept == (0, 1)
    assert verdict.figures == {0: 0.0, 1: 0.99, 2: 0.991}
    assert verdict.dropped[0].why == "worse than trial 0 in 99.1 % of 1000 resamples of the patients"


def test_the_figure_is_the_best_epochs_mean_over_folds() -> None:
    assert merit(np.array([[0.5, 0.9, np.nan], [0.7, 0.6, 0.9]])) == 0.75
    assert merit(np.array([[0.5, np.nan], [np.nan, 0.6]])) is None


def test_the_order_of_folds_is_drawn_from_the_seed() -> None:
    orders = {Halving().order(seed, 6) for seed in range(20)}
    assert all(sorted(order) == list(range(6)) for order in orders)
    assert len(orders) > 10
    assert Halving().order(0, 6) == Bootstrap().order(0, 6)


@pytest.mark.parametrize(
    ("race", "trials", "bounds"),
    [
        ("halving", 32, RaceBounds(80, 192)),
        ("{kind: halving, least: 4, keep: 0.3}", 32, RaceBounds(32 + 10 + 4 * 4, 192)),
        ("bootstrap", 8, RaceBounds(8 + 5, 48)),
        ("null", 8, RaceBounds(48, 48)),
    ],
)
def test_what_a_race_may_cost(race: str, trials: int, bounds: RaceBounds) -> None:
    assert race_bounds(raced_plan(race, trials=trials, folds=6).study, trials) == bounds


def test_every_rule_is_one() -> None:
    for name in kinds("planning/races"):
        rule = load_kind("planning/races", name, "search.race").Race()
        assert isinstance(rule, RaceSpec)
        assert rule.kind == rule.describe()["kind"] == name


@pytest.mark.parametrize(
    ("race", "message"),
    [
        ("halvin", "search.race = 'halvin': did you mean halving?"),
        ("3", "search.race = 3: expected a section, or one of bootstrap, halving"),
        ("{keep: 0.3}", "search.race.kind = null: expected one of bootstrap, halving"),
        ("{kind: halving, keep: 0}", "search.race.keep = 0: expected more than 0"),
        ("{kind: halving, keep: 1.0}", "search.race.keep = 1.0: expected less than 1"),
        ("{kind: halving, least: 0}", "search.race.least = 0: expected at least 1"),
        ("{kind: halving, keeps: 1}", "there is no field search.race.keeps; did you mean keep?"),
        ("{kind: bootstrap, confidence: 1.5}", "search.race.confidence = 1.5: expected less than 1"),
        (
            "halving",
            "search.race.least = 8: the search has 4 trials, so that the race would drop none: expected fewer than 4",
        ),
    ],
)
def test_nonsense_in_a_race_is_one_line(race: str, message: str) -> None:
    with pytest.raises(BadStudy) as caught:
        raced_plan(race, trials=4, folds=3)
    assert message in str(caught.value)


def test_a_race_over_two_folds_is_refused() -> None:
    with pytest.raises(BadStudy, match=r"with folds.k = 2 it would decide once, by a single fold"):
        raced_plan("{kind: halving, least: 2}", trials=4, folds=2)


def test_a_race_is_another_run_and_no_race_is_the_same_one() -> None:
    varied = "parameters: {{model.dropout: {{low: 0, high: 0.5}}}}"
    text = f"{{{{name: a, search: {{{{kind: random, {{race}}trials: {{trials}}, {varied}}}}}}}}}"

    def run(race: str, trials: int) -> str:
        return plan_of(study_of(text.format(race=race, trials=trials))).run

    assert run("", 10) == run("race: null, ", 10) == run("", 20)
    raced = run("race: {kind: halving, least: 2}, ", 10)
    assert raced != run("", 10)
    # Who is dropped depends on who was in it.
    assert raced != run("race: {kind: halving, least: 2}, ", 20)
