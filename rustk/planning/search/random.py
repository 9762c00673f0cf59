"""Independent draws, each trial from a generator of its own: asking for more trials keeps those there were."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from rustk.planning.search.base import DrawnSearch, Hyperparameters, by_name


class Search(DrawnSearch):
    """`trials` draws of every field in `parameters`."""

    kind: Literal["random"]

    def draw(self, seed: int) -> Iterator[Hyperparameters]:
        for trial in range(self.trials):
            rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, trial])))
            # In the order of the names, so that the order of the lines in a study's file does not matter.
            drawn = {path: self.parameters[path].draw(rng) for path in sorted(self.parameters)}
            yield by_name({path: drawn[path] for path in self.parameters})
