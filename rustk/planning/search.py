"""From a study's search space to its trials."""

import itertools
from collections.abc import Iterator

import numpy as np

from rustk.planning.study import GridSearch, RandomSearch, Range, Study

Hyperparameters = dict[str, float | int]


def draw_trials(study: Study) -> list[Hyperparameters]:
    """The trials of a study: trial t's searched hyperparameters, by short name, at place t.

    A study without a search has one trial that varies nothing. A grid's first parameter varies slowest.
    Random trial t is drawn from a generator of its own, seeded by (study seed, t): asking for more trials keeps those
    there were.
    """
    if study.search is None:
        return [{}]
    if isinstance(study.search, GridSearch):
        return list(_grid(study.search))
    return [_random(study.search, study.seed, trial) for trial in range(study.search.trials)]


def _grid(search: GridSearch) -> Iterator[Hyperparameters]:
    names = [path.rpartition(".")[2] for path in search.parameters]
    for values in itertools.product(*search.parameters.values()):
        yield {name: _typed(name, value) for name, value in zip(names, values, strict=True)}


def _random(search: RandomSearch, seed: int, trial: int) -> Hyperparameters:
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, trial])))
    # In the order of the names, so that the order of the lines in a study file does not matter.
    drawn = {path.rpartition(".")[2]: _draw(search.parameters[path], rng) for path in sorted(search.parameters)}
    return {path.rpartition(".")[2]: drawn[path.rpartition(".")[2]] for path in search.parameters}


def _draw(values: Range, rng: np.random.Generator) -> float | int:
    if values.type == "int":
        return int(rng.integers(int(values.low), int(values.high), endpoint=True))
    return float(rng.uniform(values.low, values.high))


def _typed(name: str, value: float | int) -> float | int:
    return int(value) if name == "batch_size" else float(value)
