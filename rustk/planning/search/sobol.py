"""Points of Sobol's sequence, scrambled: spread over all fields at once more evenly than independent draws.

Sobol (1967), with the direction numbers of Joe and Kuo (2008) and scipy's scrambling (Matousek 1998). Trial i is point
i, so that more trials extend a run. Where only some fields matter, their values are still spread evenly.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from rustk.planning.distributions import Distribution
from rustk.planning.search.base import DrawnSearch, Hyperparameters, by_name


class Search(DrawnSearch):
    """`trials` points of one sequence over every field in `parameters`."""

    kind: Literal["sobol"]

    def draw(self, seed: int) -> Iterator[Hyperparameters]:
        yield from spread(self.parameters, seed, self.trials)


def spread(parameters: dict[str, Distribution], seed: int, trials: int) -> Iterator[Hyperparameters]:
    """The first `trials` points of the sequence that `seed` scrambles; each a function of `seed` and its number."""
    from scipy.stats import qmc

    # In the order of the names, so that the order of the lines in a study's file does not matter.
    paths = sorted(parameters)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0])))
    # Of a whole power of two, which is what the sequence is even over: scipy warns of any other number.
    points = qmc.Sobol(len(paths), scramble=True, seed=rng).random_base2(max(trials - 1, 0).bit_length())[:trials]
    for point in points:
        drawn = {path: parameters[path].at(float(share)) for path, share in zip(paths, point, strict=True)}
        yield by_name({path: drawn[path] for path in parameters})
