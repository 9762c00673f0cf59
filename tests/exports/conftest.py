"""A run that grows, in a directory."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rustk.planning.races.halving import Race as Halving
from rustk.store import Store, open_store
from tests.report.planted import CLEAN, plant
from tests.report.raced import hold_race

SMALL = replace(CLEAN, patients=40, folds=2)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Store]:
    """Write the run, with or without some of its folds; the store that it lies in."""

    def written(
        missing: tuple[tuple[int, int], ...] = (),
        diverged: tuple[tuple[int, int, int], ...] = (),
        raced: bool = False,
    ) -> Store:
        store = open_store(str(tmp_path / "store"))
        shelf = plant(replace(SMALL, missing=missing, diverged=diverged))
        if raced:
            hold_race(shelf, SMALL.run, Halving(keep=0.5, least=1))
        for key, data in shelf.objects.items():
            store.write(key, data)
        return store

    return written
