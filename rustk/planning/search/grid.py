"""Every combination of listed values; the first parameter varies slowest."""

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rustk.planning.distributions import check_once
from rustk.planning.search.base import MOST_TRIALS, Hyperparameters, SearchSpec, Value, by_name


class Search(SearchSpec):
    """`parameters` maps each field to the values that it takes."""

    kind: Literal["grid"]
    parameters: dict[str, Annotated[tuple[Value, ...], Field(min_length=1, max_length=MOST_TRIALS)]] = Field(
        min_length=1, max_length=50, description="the values that each field takes"
    )

    @model_validator(mode="after")
    def _drawable(self) -> "Search":
        for path, values in self.parameters.items():
            try:
                check_once(values)
            except ValueError as error:
                raise ValueError(f"parameters.{path}: {error}") from None
        count = math.prod(len(values) for values in self.parameters.values())
        if count > MOST_TRIALS:
            raise ValueError(f"parameters: a grid of {count:,} trials: expected at most {MOST_TRIALS:,}")
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self.parameters)

    def extremes(self, path: str) -> Iterable[Any]:
        return self.parameters[path]

    def draw(self, seed: int) -> Iterator[Hyperparameters]:
        for values in itertools.product(*self.parameters.values()):
            yield by_name(dict(zip(self.parameters, values, strict=True)))
