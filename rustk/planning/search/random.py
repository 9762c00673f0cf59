"""Uniform draws, each trial from a generator of its own: asking for more trials keeps those there were."""

import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from rustk.planning.search.base import MOST_TRIALS, Hyperparameters, Real, SearchSpec, short_name
from rustk.vocabulary.checking import Strict


class Range(Strict):
    """A uniform distribution: over the integers low..high, both ends in, or over the reals [low, high)."""

    low: Real
    high: Real
    type: Literal["int", "float"] = "float"

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        if self.type == "int" and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(f"low {self.low:g} and high {self.high:g} must be whole numbers for type int")
        return self

    @property
    def ends(self) -> tuple[float | int, float | int]:
        """The least and the greatest value that can be drawn."""
        if self.type == "int":
            return int(self.low), int(self.high)
        return self.low, math.nextafter(self.high, self.low)

    def draw(self, rng: np.random.Generator) -> float | int:
        """One value from `rng`."""
        if self.type == "int":
            return int(rng.integers(int(self.low), int(self.high), endpoint=True))
        return float(rng.uniform(self.low, self.high))


class Search(SearchSpec):
    """`trials` draws of every field in `parameters`."""

    kind: Literal["random"]
    trials: int = Field(strict=True, ge=1, le=MOST_TRIALS, description="how many are drawn; more extend the same run")
    parameters: dict[str, Range] = Field(
        min_length=1, max_length=50, description="the range that each field is drawn from, uniformly"
    )

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self.parameters)

    def extremes(self, path: str) -> Iterable[float | int]:
        return self.parameters[path].ends

    def draw(self, seed: int) -> Iterator[Hyperparameters]:
        for trial in range(self.trials):
            rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, trial])))
            # In the order of the names, so that the order of the lines in a study's file does not matter.
            drawn = {path: self.parameters[path].draw(rng) for path in sorted(self.parameters)}
            yield {short_name(path): drawn[path] for path in self.parameters}

    def decisive(self) -> dict[str, Any]:
        """All but how many trials are drawn: more of them extend a run without changing the earlier ones."""
        return self.model_dump(mode="json", exclude={"trials"})
