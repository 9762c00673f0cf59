"""What every kind of search has in common.

A kind is one file of this folder that defines `Search`, a subclass of `SearchSpec`: its fields are those of the section
`search` in a study's file, and `draw` gives its trials. Everything here is pure: same study, same trials, whatever ran
before and on whatever machine. A kind that learns from earlier trials is an `AdaptiveSearch`: `draw` gives its first
batch, and `ask` the others.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field, SerializeAsAny, model_validator

from rustk.planning.distributions import MOST_VALUES, Distribution, Range, Real, Value, Whole
from rustk.planning.races.base import RaceSpec
from rustk.planning.searchable import BY_PATH, Hyperparameters, short_name
from rustk.vocabulary.checking import Strict

__all__ = [
    "MOST_TRIALS",
    "AdaptiveSearch",
    "Hyperparameters",
    "Real",
    "SearchSpec",
    "Told",
    "Value",
    "Whole",
    "by_name",
    "short_name",
]

MOST_TRIALS = MOST_VALUES


class SearchSpec(Strict):
    """The section `search` of a study. `parameters` maps the paths of fields, as training.epsilon, to what varies."""

    kind: str
    race: SerializeAsAny[RaceSpec] | None = Field(None, description="which trials go on before all folds are trained")

    # Whether later trials depend on what earlier ones gave, so that they are asked for in batches.
    adaptive: ClassVar[bool] = False

    @property
    @abstractmethod
    def paths(self) -> tuple[str, ...]:
        """The paths of the fields that the search varies, in the study's order."""

    @abstractmethod
    def extremes(self, path: str) -> Iterable[Any]:
        """Values of one field that must be valid for all to be: its list, or the ends of its range."""

    def range_of(self, path: str) -> Range | None:
        """The range that the values of one field are drawn from; None where they are listed."""
        return None

    @abstractmethod
    def draw(self, seed: int) -> Iterator[Hyperparameters]:
        """The trials in order, each with a value for the last part of each path. `seed` is the study's."""

    def decisive(self) -> dict[str, Any]:
        """The fields that decide the trials' numbers, for the run's id: by default all."""
        return self.model_dump(mode="json")


@dataclass(frozen=True)
class Told:
    """An earlier trial, as a search that learns is told of it.

    figure: its mean figure of merit over the folds that it was trained on; the greater, the better. None: it has none,
    since it diverged. folds: after how many folds a race dropped it; None where it was trained on all. pending: it is
    still being trained, and has no figure yet.
    """

    hyperparameters: Hyperparameters
    figure: float | None = None
    folds: int | None = None
    pending: bool = False


class DrawnSearch(SearchSpec):
    """A search that draws `trials` trials from what each field of `parameters` is drawn from."""

    trials: int = Field(strict=True, ge=1, le=MOST_TRIALS, description="how many are drawn; more extend the same run")
    parameters: dict[str, Distribution] = Field(
        min_length=1, max_length=50, description="the range that each field is drawn from, or its values"
    )

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(self.parameters)

    def extremes(self, path: str) -> Iterable[Any]:
        return self.parameters[path].extremes

    def range_of(self, path: str) -> Range | None:
        found = self.parameters[path]
        return found if isinstance(found, Range) else None

    def decisive(self) -> dict[str, Any]:
        """All but how many trials are drawn: more of them extend a run without changing the earlier ones."""
        fields = super().decisive()
        del fields["trials"]
        return fields


class AdaptiveSearch(DrawnSearch):
    """A search that learns: it is asked for a batch of trials once all earlier batches have come to something."""

    adaptive: ClassVar[bool] = True

    batch: int = Field(8, strict=True, ge=1, le=MOST_TRIALS, description="how many trials are asked for at a time")

    @model_validator(mode="after")
    def _batch_fits(self) -> "AdaptiveSearch":
        if self.batch > self.trials and "batch" not in self.model_fields_set:
            raise ValueError(f"trials = {self.trials}: expected at least {self.batch}, the default of search.batch")
        if self.batch > self.trials:
            raise ValueError(f"batch = {self.batch}: expected at most as many as search.trials, {self.trials}")
        return self

    def draw(self, seed: int) -> Iterator[Hyperparameters]:
        """The first batch, which depends on nothing."""
        yield from self.ask(seed, [], 0, self.batch)

    @abstractmethod
    def ask(self, seed: int, told: Sequence[Told], first: int, count: int) -> list[Hyperparameters]:
        """Trials `first` to `first + count - 1`, given all those before: a pure function of its arguments.

        seed: the study's. told: one for each trial before `first`, in order.
        """


def by_name(values: Mapping[str, Any]) -> Hyperparameters:
    """Values by the paths of their fields as a trial's hyperparameters: by short name, in the field's type."""
    return {short_name(path): BY_PATH[path].encode(value) for path, value in values.items()}
