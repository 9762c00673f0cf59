"""A race decided on the cluster: the same rounds and the same numbers as on one machine."""

from pathlib import Path

from rustk.store import Store, open_store
from rustk.store.rounds import read_rounds

from .conftest import Workplace, numbers

RACED = {
    "kind": "grid",
    "race": {"kind": "halving", "keep": 0.5, "least": 1},
    "parameters": {"training.learning_rate": [1e-1, 1e-2, 1e-3, 1e-5]},
}


def rounds(store: Store, run: str) -> list[object]:
    return [one.model_copy(update={"decided_at": None, "versions": {}}) for one in read_rounds(store, run)]


def test_a_race_on_the_cluster_decides_as_one_machine_does(workplace: Workplace, tmp_path: Path) -> None:
    workplace.write_settings()
    study = workplace.study("raced", folds={"k": 5}, search=RACED)
    submitted = workplace.rustk("submit", study, "--wait")
    run = workplace.run_of("raced")
    assert "is complete" in submitted.out
    status = workplace.status(run)
    assert status["complete"]
    assert status["counts"]["dropped"] == 20 - status["counts"]["done"] > 0
    assert len(rounds(workplace.store, run)) == status["rounds"] == 4
    here = open_store(str(tmp_path / "store"))
    for entry in workplace.store.list("datasets/"):
        here.write(entry.key, workplace.store.read(entry.key))
    workplace.rustk("submit", study, "--backend", "local", "--store", here.url)
    assert rounds(here, run) == rounds(workplace.store, run)
    assert numbers(here, run) == numbers(workplace.store, run)
