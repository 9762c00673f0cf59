from pathlib import Path

from rustk.planning.races.halving import Race as Halving
from rustk.report.audits.base import Context
from rustk.report.audits.race import audit
from rustk.report.data.aggregate import aggregate
from rustk.report.data.results import load_run
from rustk.store import open_store
from rustk.vocabulary import names
from tests.report.raced import hold_race
from tests.report.runs import write_tiny

RULE = Halving(keep=0.3, least=1)
# In fold 1 all trials are equal.
FOLD_0_FIRST = next(seed for seed in range(99) if RULE.order(seed, 2)[0] == 0)


def test_a_race_is_told(tmp_path: Path) -> None:
    run = write_tiny(tmp_path).name
    store = open_store(str(tmp_path))
    assert audit(Context(aggregate(load_run(store, run)))) == []
    hold_race(store, run, Halving(least=3))
    (found,) = audit(Context(aggregate(load_run(store, run))))
    assert found.sentence == "The race dropped no trial: all were compared on the same folds."
    store.delete(names.round_key(run, 1))
    hold_race(store, run, RULE, FOLD_0_FIRST)
    (found,) = audit(Context(aggregate(load_run(store, run))))
    assert found.severity == "clean"
    assert found.sentence.startswith("2 of 3 trials were not trained on every fold")
