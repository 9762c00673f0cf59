"""A race whose rounds are damaged, or not those of its histories: every command says so in the same line."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from rustk.store import Store
from rustk.store.rounds import RoundContradicted, read_rounds
from rustk.vocabulary import names
from tests.searching.replays import made_up, put_history, raced_plan, run_through

from .conftest import Rustk

FIRST, SECOND = names.round_key("raced", 1), names.round_key("raced", 2)
COMMANDS = (
    ("status", "raced"),
    ("status", "raced", "--json"),
    ("wait", "raced", "--timeout", "5"),
    ("aggregate", "raced"),
    ("methods", "raced"),
    ("export", "tensorboard", "raced", "logs"),
)


def edit(store: Store, change: Callable[[dict[str, object]], object]) -> None:
    document = json.loads(store.read(FIRST))
    change(document)
    store.write(FIRST, json.dumps(document).encode())


def keep_another(document: dict[str, object]) -> None:
    kept, dropped = document["kept"], document["dropped"]
    assert isinstance(kept, list)
    assert isinstance(dropped, list)
    document["kept"] = sorted([*kept, dropped.pop()["trial"]])


def move_dropped(document: dict[str, object]) -> None:
    dropped = document["dropped"]
    assert isinstance(dropped, list)
    dropped[0]["figure"] = 0.1234


def change_history(store: Store) -> None:
    """At the first epoch, which decides nothing: the file is another one all the same."""
    decided = read_rounds(store, "raced")[0]
    task = (decided.dropped[0].trial, decided.folds[0])
    curve = made_up(6, 3)[task]
    put_history(store, "raced", task, np.concatenate([[0.0], curve[1:]]))


@dataclass(frozen=True)
class Damage:
    what: str
    do: Callable[[Store], object]
    message: str

    def __str__(self) -> str:
        return self.what


DAMAGES = [
    Damage("a history", change_history, f"is not the history that {FIRST} was decided on: put that one back"),
    Damage("kept", lambda store: edit(store, keep_another), f"{FIRST}: kept = ["),
    Damage("a dropped figure", lambda store: edit(store, move_dropped), f"{FIRST}: dropped, trial "),
    Damage("cut short", lambda store: store.write(SECOND, store.read(SECOND)[:100]), f"{SECOND}: not JSON"),
    Damage("another schema", lambda store: store.write(SECOND, b'{"hello": 1}'), f"{SECOND}: "),
    Damage("nested deep", lambda store: store.write(SECOND, b"[" * 100_000), f"{SECOND}: nested too deeply"),
    Damage("a gap", lambda store: store.delete(FIRST), f"{FIRST} is missing, while {SECOND} is there"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a race that is over."""
    from rustk.store import open_store

    store = open_store(str(tmp_path_factory.mktemp("whole")))
    plan = raced_plan("{kind: halving, keep: 0.5, least: 2}", trials=6, folds=3)
    run_through(store, plan, made_up(6, 3), np.random.default_rng(0))
    return {entry.key: store.read(entry.key) for entry in store.list("")}


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
def test_every_command_says_the_same(store: Store, rustk: Rustk, whole: dict[str, bytes], damage: Damage) -> None:
    for key, data in whole.items():
        store.write(key, data)
    damage.do(store)
    before = {entry.key: store.read(entry.key) for entry in store.list("")}
    said = set()
    for command in COMMANDS:
        result = rustk(*command)
        assert isinstance(result.exception, RoundContradicted), (command, result.exception, result.output)
        assert result.exception.exit_code != 0
        said.add(str(result.exception))
    (line,) = said
    assert damage.message in line
    assert "put " in line, "it says what to do"
    assert line.isprintable()
    assert {entry.key: store.read(entry.key) for entry in store.list("")} == before


def test_rounds_that_hold_are_no_fault(store: Store, rustk: Rustk, whole: dict[str, bytes]) -> None:
    for key, data in whole.items():
        store.write(key, data)
    for command in COMMANDS[:3]:
        assert rustk(*command).exit_code == 0
