"""A search carried on over a store: the same rounds in whatever order folds end, whoever decides them, and when."""

import dataclasses
import hashlib
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustk.planning.plan import Plan
from rustk.planning.races.base import merit
from rustk.planning.rounds import race_bounds
from rustk.report.data.cohort import Cohort, develop_cohort
from rustk.searching.run_search import RunSearch
from rustk.store.documents import DatasetDocument, encode_document, write_document
from rustk.store.rounds import read_rounds
from rustk.store.runs import load_plan, publish_plan, read_run, read_trials, trials_table
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData
from rustk.vocabulary.parquet import encode_parquet
from rustk.vocabulary.schemas import predictions_schema
from tests.planning.plans import index_of, plan_of, study_of
from tests.searching.replays import made_up, put_history, raced_plan, rounds_of, run_through
from tests.store.memory import MemoryStore

HALVING = "{kind: halving, keep: 0.5, least: 2}"


@settings(deadline=None, max_examples=15)
@given(
    st.integers(3, 9), st.integers(3, 5), st.integers(0, 2**31), st.integers(0, 2**31), st.sampled_from([0, 0.1, 0.4])
)
def test_the_rounds_are_the_same_in_whatever_order_folds_end(
    trials: int, folds: int, seed: int, order: int, diverged: float
) -> None:
    plan = raced_plan(HALVING, trials=trials, folds=folds, seed=seed)
    curves = made_up(trials, folds, seed=seed)
    ends = np.random.default_rng(seed).random((trials, folds)) < diverged
    curves[ends, 2:] = np.nan
    one, other = MemoryStore(), MemoryStore()
    ended = run_through(one, plan, curves, np.random.default_rng(order))
    again = run_through(other, plan, curves, np.random.default_rng(order + 1))
    assert rounds_of(one, plan.run) == rounds_of(other, plan.run)
    assert ended.done == again.done
    assert ended.complete
    assert len(ended.rounds) == folds - 1  # nothing hangs on the last
    assert ended.done | ended.dropped.keys() == set(plan.tasks)
    assert not ended.done & ended.dropped.keys()
    bounds = race_bounds(plan.study, trials)
    assert len(ended.done) <= bounds.most
    if not diverged:
        assert len(ended.done) >= bounds.least


def test_a_race_trains_less_and_finds_the_best() -> None:
    """On a run whose trials differ more than its folds' noise: a quarter kept costs little, and loses nothing."""
    trials, folds = 16, 6
    curves = made_up(trials, folds, noise=0.002)
    best = max(range(trials), key=lambda trial: merit(curves[trial]) or 0.0)
    for seed in range(5):
        plan = raced_plan("{kind: halving, keep: 0.5, least: 3}", trials=trials, folds=folds, seed=seed)
        ended = run_through(MemoryStore(), plan, curves, np.random.default_rng(seed))
        assert len(ended.done) == 16 + 8 + 4 + 3 + 3 + 3 == race_bounds(plan.study, trials).least
        assert all((best, fold) in ended.done for fold in range(folds))


def test_twins_of_the_best_stay() -> None:
    curves = np.repeat(made_up(1, 4), 6, axis=0)
    curves[5] -= 0.1
    ended = run_through(
        MemoryStore(), raced_plan("{kind: halving, keep: 0.2, least: 1}", trials=6, folds=4), curves, rng()
    )
    assert {trial for trial, _ in ended.dropped} == {5}


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_who_comes_second_reads_the_round() -> None:
    plan, store = raced_plan(HALVING, trials=6, folds=3), MemoryStore()
    curves = made_up(6, 3)
    publish_plan(store, plan)
    first, second = RunSearch(store, plan), RunSearch(store, plan)
    for trial, fold in first.next().tasks:
        put_history(store, plan.run, (trial, fold), curves[trial, fold])
    assert second.next().rounds == first.next().rounds
    assert [entry.key for entry in store.list(names.rounds_prefix(plan.run))] == [names.round_key(plan.run, 1)]
    looked = RunSearch(store, plan, writes=False)
    for trial, fold in looked.next().tasks:
        put_history(store, plan.run, (trial, fold), curves[trial, fold])
    assert len(looked.next().rounds) == 2
    assert len(read_rounds(store, plan.run)) == 1  # who only looks writes nothing


def test_who_is_certain_to_be_kept_is_trained_ahead() -> None:
    plan, store = raced_plan(HALVING, trials=6, folds=4), MemoryStore()
    publish_plan(store, plan)
    search = RunSearch(store, plan)
    first, later = search.next().tasks[0][1], plan.study.search.race.order(plan.study.seed, 4)[1]  # type: ignore[union-attr]
    curves = np.full((6, 4, 4), 0.5) + np.arange(6)[:, None, None] / 100
    for trial in (5, 4, 3, 2, 1):
        put_history(store, plan.run, (trial, first), curves[trial, first])
    # Three of six are kept: whoever is still to come can take one place.
    assert search.next().tasks == ((0, first), (4, later), (5, later))


def test_a_settled_race_asks_for_all_that_is_left() -> None:
    plan, store = raced_plan("{kind: halving, keep: 0.9, least: 1}", trials=4, folds=4), MemoryStore()
    assert len(RunSearch(store, plan).next().tasks) == 16


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_history_that_is_lost_is_trained_again(when: str) -> None:
    plan, store = raced_plan(HALVING, trials=6, folds=3), MemoryStore()
    curves = made_up(6, 3)
    if when == "after":
        run_through(store, plan, curves, rng())
    else:
        publish_plan(store, plan)
        for trial, fold in RunSearch(store, plan).next().tasks:
            put_history(store, plan.run, (trial, fold), curves[trial, fold])
        RunSearch(store, plan).next()
    lost = (0, RunSearch(store, plan).next().rounds[0].folds[0])
    store.delete(names.history_key(plan.run, *lost))
    assert lost in RunSearch(store, plan).next().tasks
    put_history(store, plan.run, lost, curves[lost])
    assert lost not in RunSearch(store, plan).next().tasks


def decided_store() -> tuple[MemoryStore, RunSearch]:
    plan, store = raced_plan(HALVING, trials=6, folds=3), MemoryStore()
    run_through(store, plan, made_up(6, 3), rng())
    return store, RunSearch(store, plan)


def test_a_history_that_changed_after_its_round_is_said() -> None:
    store, search = decided_store()
    first = search.next().rounds[0]
    task = (first.dropped[0].trial, first.folds[0])
    before = [entry.key for entry in store.list("")]
    put_history(store, "raced", task, np.full(4, 0.9))
    for asked in (search, RunSearch(store, search.plan)):
        with pytest.raises(BadData, match=re.escape(f"{names.history_key('raced', *task)} is not the history that")):
            asked.next()
    assert [entry.key for entry in store.list("")] == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kept": "all"}, "rounds/0001.json: kept = "),
        ({"trials": "fewer"}, "rounds/0001.json: trials = "),
        ({"folds": (7,)}, "rounds/0001.json: folds = [7]: expected ["),
        ({"rule": {"kind": "halving", "keep": 0.9, "least": 2}}, "rounds/0001.json: rule = "),
        ({"number": 3}, "rounds/0001.json: number = 3: expected 1"),
        ({"histories": {}}, "rounds/0001.json: histories: trial="),
        ({"figures": "higher"}, "rounds/0001.json: figures.0 = "),
        ({"asked": ({"learning_rate": 0.1},)}, "rounds/0001.json: asked: expected no trials before"),
    ],
)
def test_a_round_that_contradicts_is_one_line(change: dict[str, object], message: str) -> None:
    store, search = decided_store()
    first = read_rounds(store, "raced")[0]
    if change.get("kept") == "all":
        change = {"kept": first.trials, "dropped": ()}
        store.delete(names.round_key("raced", 2))  # it would not follow either
    if change.get("trials") == "fewer":
        gone = first.dropped[0].trial
        change = {
            "trials": tuple(trial for trial in first.trials if trial != gone),
            "dropped": first.dropped[1:],
            "figures": {trial: figure for trial, figure in first.figures.items() if trial != gone},
        }
    if change.get("figures") == "higher":
        change = {"figures": {trial: (figure or 0) + 0.01 for trial, figure in first.figures.items()}}
    store.write(names.round_key("raced", 1), encode_document(first.model_copy(update=change)))
    with pytest.raises(BadData) as caught:
        RunSearch(store, search.plan).next()
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_chain_with_a_gap_is_one_line() -> None:
    store, search = decided_store()
    store.delete(names.round_key("raced", 1))
    with pytest.raises(BadData, match=r"rounds/0001.json is missing, while .*rounds/0002.json is there"):
        search.next()


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"number": 1}', b"\xff" * 10])
def test_a_damaged_round_is_one_line(data: bytes) -> None:
    store, search = decided_store()
    store.write(names.round_key("raced", 1), data)
    with pytest.raises(BadData, match=r"^runs/raced/rounds/0001.json: "):
        RunSearch(store, search.plan).next()


def test_a_round_that_is_removed_is_decided_again() -> None:
    store, search = decided_store()
    before = rounds_of(store, "raced")
    for number in (1, 2):
        store.delete(names.round_key("raced", number))
    RunSearch(store, search.plan).next()
    assert rounds_of(store, "raced") == before


def test_without_a_race_nothing_is_read_but_what_is_done() -> None:
    plan = raced_plan("null", trials=2, folds=3)
    store = MemoryStore()
    assert RunSearch(store, plan).next().tasks == tuple(plan.tasks)
    store.write(names.history_key(plan.run, 0, 1), b"damaged")
    now = RunSearch(store, dataclasses.replace(plan)).next()
    assert (0, 1) not in now.tasks
    assert not now.complete


LEARNING = """
name: learns
model: {{weights: random}}
training: {{epochs: 4}}
folds: {{k: 3}}
search:
  kind: tpe
  race: {race}
  trials: 11
  batch: 4
  startup: 4
  parameters: {{training.learning_rate: {{low: 1.0e-5, high: 1.0e-1, log: true}}}}
"""


@pytest.mark.parametrize("race", ["null", "{kind: halving, keep: 0.5, least: 2}"])
def test_a_search_that_learns_is_asked_for_batches(race: str) -> None:
    pytest.importorskip("optuna")
    plan = plan_of(study_of(LEARNING.format(race=race)), images=36, name="learns")
    curves = made_up(11, 3)
    assert (len(plan.trials), plan.all_trials) == (4, 11)
    one, other = MemoryStore(), MemoryStore()
    ended = run_through(one, plan, curves, np.random.default_rng(1))
    again = run_through(other, plan, curves, np.random.default_rng(2))
    assert rounds_of(one, "learns") == rounds_of(other, "learns")
    assert ended.complete
    assert [len(found.asked) for found in ended.rounds if found.asked] == [4, 3]
    assert ended.done == again.done
    assert ended.done | ended.dropped.keys() == set(ended.plan.tasks)
    assert len(ended.plan.trials) == 11
    assert bool(ended.dropped) == (race != "null")
    for key in (names.trials_key("learns"), names.run_study_key("learns")):
        assert planned_once(one, key) == planned_once(other, key)
    assert load_plan(one, "learns").trials == ended.plan.trials == read_trials(one, "learns")
    # Cut off after the round was written: who comes next writes what was asked for, and workers know of it before.
    short = trials_table(ended.plan.trials[:4])
    one.write(names.trials_key("learns"), encode_parquet(short))
    document = read_run(one, "learns")
    behind = document.planned.model_copy(update={"trials": 4})
    write_document(one, names.run_study_key("learns"), document.model_copy(update={"planned": behind}))
    assert load_plan(one, "learns").trials == ended.plan.trials
    RunSearch(one, plan).next()
    assert read_trials(one, "learns") == ended.plan.trials
    assert read_run(one, "learns").planned.trials == 11


def planned_once(store: MemoryStore, key: str) -> object:
    """The file, but for when the run was planned."""
    if key.endswith(".json"):
        return read_run(store, "learns").model_copy(update={"planned_at": None})
    return store.read(key)


def put_dataset(store: MemoryStore, plan: Plan, images: int) -> Cohort:
    """The dataset of a plan on so many images, and its develop images in their folds."""
    index = index_of(images)
    data = encode_parquet(index)
    store.write(names.dataset_index_key(plan.dataset), data)
    document = DatasetDocument(
        name=plan.dataset,
        instrument=plan.instrument,
        image_shape=(8, 8, 1),
        shards=(),
        index_sha256=hashlib.sha256(data).hexdigest(),
        digest=plan.dataset_digest,
    )
    write_document(store, names.dataset_key(plan.dataset), document)
    folds = pd.DataFrame({"sample_id": list(plan.sample_ids), "fold": plan.fold_of})
    return develop_cohort(index.to_pandas(), folds, plan.instrument)


def put_predictions(store: MemoryStore, cohort: Cohort, task: tuple[int, int], *, knows: bool) -> None:
    """Predictions of one epoch: the truth with a little noise, or noise alone."""
    rows = cohort.take(cohort.folds == task[1])
    noise = np.random.default_rng(task).random(rows.truth.shape)
    probabilities = 0.8 * rows.truth + 0.1 * noise if knows else noise
    columns = {label: probabilities[:, at].astype(np.float32) for at, label in enumerate(cohort.instrument.labels)}
    table = pa.table(
        {"epoch": pa.array([1] * len(rows), pa.int32()), "sample_id": list(rows.sample_ids), **columns},
        schema=predictions_schema(cohort.instrument),
    )
    store.write(names.prediction_key("raced", *task), encode_parquet(table))


def test_bootstrap_compares_predictions_from_the_first_fold_on() -> None:
    """Two trials that know the scores, one that guesses: it goes after the first fold, and the others stay."""
    images, store = 36, MemoryStore()
    plan = raced_plan("{kind: bootstrap, resamples: 200}", trials=3, folds=3)
    cohort = put_dataset(store, plan, images)
    publish_plan(store, plan)
    search = RunSearch(store, plan)
    first = search.next().tasks
    for trial, fold in first:
        put_history(store, "raced", (trial, fold), np.full(1, 0.9 if trial < 2 else 0.6))
    with pytest.raises(BadData, match=r"predictions/trial=0000/fold=\d.parquet is not in the store"):
        search.next()
    assert not store.list(names.rounds_prefix("raced"))
    for trial, fold in first:
        put_predictions(store, cohort, (trial, fold), knows=trial < 2)
    now = search.next()
    assert [one.trial for one in now.rounds[0].dropped] == [2]
    assert now.rounds[0].figures == {0: 0.0, 1: 0.0, 2: 1.0}
    assert len(now.rounds[0].predictions) == 3
    assert {trial for trial, _ in now.tasks} == {0, 1}
