"""Runs that a race left: what is dropped is planned so, and never taken for missing or for the best."""

import json
from pathlib import Path

import pandas as pd
import pytest

from rustk.planning.races.halving import Race as Halving
from rustk.report.data.aggregate import aggregate
from rustk.report.data.final_choice import choose
from rustk.report.data.race import race_of, saved_words
from rustk.report.data.results import load_run, rounds_words
from rustk.store import open_store
from rustk.store.base import Store
from rustk.store.documents import Round
from rustk.store.rounds import put_round
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData
from tests.report.raced import hold_race, raced
from tests.report.runs import history, write_golden, write_run

RUN = "raced-00000001"
# The figure of every fold, one row a trial. Of seed 0 the order of the folds is 2, 1, 0 (asserted below).
LEVELS = [[0.90, 0.70, 0.80], [0.85, 0.80, 0.75], [0.95, 0.95, 0.60], [0.99, 0.60, 0.50]]
RULE = Halving(keep=0.5, least=1)


def small(store: Path) -> Store:
    """A run of four trials and three folds, whole."""
    histories = {(t, f): history([0.5, figure]) for t, row in enumerate(LEVELS) for f, figure in enumerate(row)}
    trials = pd.DataFrame({"trial": range(4), "dropout": [0.1, 0.2, 0.3, 0.4]})
    write_run(store, RUN, trials, histories, folds=3)
    return open_store(str(store))


def test_dropped_trials_come_last_and_are_never_the_best(tmp_path: Path) -> None:
    store = small(tmp_path)
    assert RULE.order(0, 3) == (2, 1, 0)
    # Fold 2: 0.80 and 0.75 stay, and trial 2, which would be the best over all folds, goes; then fold 1 decides.
    averaged = raced(store, RUN, RULE)
    results = averaged.results
    assert results.missing == ()
    assert dict(results.dropped) == {2: 1, 3: 1, 0: 2}
    assert set(results.dropped_folds) == {(2, 0), (2, 1), (3, 0), (3, 1), (0, 0)}
    assert not averaged.partial
    assert averaged.note == ""
    trials = averaged.trials
    assert trials["trial"].tolist() == [1, 0, 2, 3]
    assert trials["rank"].tolist() == [1, 2, 3, 4]
    assert trials["note"].tolist() == ["", "dropped in round 2 of 3", *["dropped in round 1 of 3"] * 2]
    assert trials["folds_used"].tolist() == [3, 2, 1, 1]
    assert set(trials["folds_planned"]) == {3}
    assert trials["dropped_round"].tolist()[1:] == [2, 1, 1]
    assert pd.isna(trials["dropped_round"].iloc[0])
    assert averaged.row(0)["val_auroc"] == pytest.approx((0.80 + 0.70) / 2)
    assert averaged.whole["trial"].tolist() == [1]
    assert int(averaged.best["trial"]) == 1


def test_a_fold_that_a_round_trained_is_missing_where_its_history_is_not_there(tmp_path: Path) -> None:
    store = small(tmp_path)
    hold_race(store, RUN, RULE)
    store.delete(names.history_key(RUN, 3, 2))
    results = load_run(store, RUN)
    assert results.missing == ((3, 2),)
    with pytest.raises(BadData, match="lacks 1 of 7 folds"):
        aggregate(results)
    averaged = aggregate(results, allow_partial=True)
    assert averaged.note == "partial: 6 of 7 folds"
    assert averaged.row(3)["note"] == "dropped in round 1 of 3; no folds"


def test_a_race_that_is_not_over_ranks_those_still_in_it_first(tmp_path: Path) -> None:
    store = small(tmp_path)
    hold_race(store, RUN, RULE)
    store.delete(names.round_key(RUN, 2))
    store.delete(names.history_key(RUN, 1, 0))
    averaged = aggregate(load_run(store, RUN), allow_partial=True)
    assert averaged.results.missing == ((0, 0), (1, 0))
    assert averaged.trials["trial"].tolist() == [1, 0, 2, 3]


def test_the_final_model_is_of_a_trial_that_was_kept_or_of_the_one_given(tmp_path: Path) -> None:
    store = small(tmp_path)
    hold_race(store, RUN, RULE)
    assert choose(store, RUN).trial == 1
    given = choose(store, RUN, trial=2)
    assert given.by == "given trial, its best epoch over the folds it was trained on (dropped in round 1 of 3)"
    assert given.val_auroc == 0.60


def test_the_last_round_has_no_file_and_is_told(tmp_path: Path) -> None:
    averaged = raced(small(tmp_path), RUN, RULE)
    race = race_of(averaged.results)
    assert race is not None
    assert [(step.number, step.trials, step.fold) for step in race.steps] == [
        (1, (0, 1, 2, 3), 2),
        (2, (0, 1), 1),
        (3, (1,), 0),
    ]
    assert race.steps[-1].decided is None
    told = saved_words(averaged.results, race)
    assert "left 5 of 12 folds untrained (42%): it dropped 3 of 4 trials" in told
    assert "trial 0 in round 2, was 0.0250 below it (0.7500 against 0.7750 on the same 2 folds)" in told


def test_batches_are_races_of_their_own(tmp_path: Path) -> None:
    store = small(tmp_path)
    rule = RULE.describe()

    def decided(number: int, trials: list[int], fold: int, kept: list[int], **more: object) -> Round:
        gone = [t for t in trials if t not in kept]
        dropped = [{"trial": t, "figure": 0.6, "best": kept[0], "best_figure": 0.7, "why": "last"} for t in gone]
        return Round.model_validate(
            {"number": number, "trials": trials, "folds": [fold], "rule": rule, "kept": kept, "dropped": dropped}
            | {"figures": dict.fromkeys([*trials, *more.get("whole", [])], 0.6), "histories": {}, **more}  # type: ignore[misc]
        )

    for one in (
        decided(1, [0, 1], 2, [1]),
        decided(2, [1], 0, [1]),
        decided(3, [1], 1, [1], asked=[{"dropout": 0.3}, {"dropout": 0.4}]),
        decided(4, [2, 3], 2, [2], whole=[1]),
        decided(5, [2], 0, [2], whole=[1]),
    ):
        put_round(store, RUN, one)
    for trial, fold in ((0, 0), (0, 1), (3, 0), (3, 1)):
        store.delete(names.history_key(RUN, trial, fold))
    results = load_run(store, RUN)
    assert results.missing == ()
    race = race_of(results)
    assert race is not None
    assert [[step.number for step in steps] for steps in race.races] == [[1, 2, 3], [4, 5, 6]]
    assert rounds_words(results, 0) == "dropped in round 1 of 3"
    assert rounds_words(results, 3) == "dropped in round 4, after 1 of 3 folds"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("trials", [0, 1, 2, 9], "rounds/0001.json: trials has 9: study.json has planned.trials = 4, from 0"),
        ("folds", [7], "rounds/0001.json: folds has 7: study.json has planned.folds = 3, from 0"),
    ],
)
def test_rounds_of_another_run_are_refused(tmp_path: Path, field: str, value: list[int], message: str) -> None:
    store = small(tmp_path)
    hold_race(store, RUN, RULE)
    key = names.round_key(RUN, 1)
    document = {**json.loads(store.read(key)), field: value}
    if field == "trials":
        document |= {"kept": [0, 9], "figures": dict.fromkeys(["0", "1", "2", "9"], 0.5)}
        document["dropped"] = [{**one, "trial": trial} for one, trial in zip(document["dropped"], (1, 2), strict=True)]
    store.write(key, json.dumps(document).encode())
    with pytest.raises(BadData, match=message.replace(".", r"\.")):
        load_run(store, RUN)


def test_a_trial_does_not_come_back_from_being_dropped(tmp_path: Path) -> None:
    store = small(tmp_path)
    hold_race(store, RUN, RULE)
    store.write(names.round_key(RUN, 2), store.read(names.round_key(RUN, 1)).replace(b'"number": 1', b'"number": 2'))
    with pytest.raises(BadData, match=r"rounds/0002\.json: trials has 2, which round 1 dropped"):
        load_run(store, RUN)


def test_the_published_search_raced_finds_the_best_or_its_twin(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    run = write_golden(tmp_path, Path.cwd())
    whole = aggregate(load_run(store, run))
    averaged = raced(store, run, Halving())
    used = int(averaged.trials["folds_used"].sum())
    assert used <= 0.45 * 32 * 6
    assert whole.best["val_auroc"] - averaged.best["val_auroc"] <= 1e-4
    kept = int(averaged.best["trial"])
    assert averaged.best["val_auroc"] == whole.row(kept)["val_auroc"]
