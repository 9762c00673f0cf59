"""What every kind of search has in common.

A kind is one file of this folder that defines `Search`, a subclass of `SearchSpec`: its fields are those of the section
`search` in a study's file, and `draw` gives its trials. Everything here is pure: same study, same trials, whatever ran
before and on whatever machine.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from rustk.planning.batches import FoldTask
from rustk.vocabulary.checking import Strict

# A searched value by its short name, the last part of its path in a study: learning_rate, batch_size...
Hyperparameters = dict[str, float | int]

MOST_TRIALS = 100_000


def _not_huge(value: float) -> float:
    if abs(value) > 2**53:
        raise ValueError("expected a number between -2^53 and 2^53")
    return value


# Numbers that a float holds exactly; true is none, and text neither.
Real = Annotated[float, Field(strict=True), AfterValidator(_not_huge)]
Whole = Annotated[int, Field(strict=True), AfterValidator(_not_huge)]


class SearchSpec(Strict):
    """The section `search` of a study. `parameters` maps the paths of fields, as training.epsilon, to what varies."""

    kind: str

    @property
    @abstractmethod
    def paths(self) -> tuple[str, ...]:
        """The paths of the fields that the search varies, in the study's order."""

    @abstractmethod
    def extremes(self, path: str) -> Iterable[float | int]:
        """Values of one field that must be valid for all to be: its list, or the ends of its range."""

    @abstractmethod
    def draw(self, seed: int) -> Iterator[Hyperparameters]:
        """The trials in order, each with a value for the last part of each path. `seed` is the study's."""

    def next_tasks(self, trials: int, folds: int, done: Set[FoldTask]) -> Sequence[FoldTask]:
        """The (trial, fold) pairs that may be trained now, in order: by default all that have no history yet.

        done: those with a history. It is asked again as more of them have one, by several processes at a time, and
        must answer all of them alike.
        """
        return [(trial, fold) for trial in range(trials) for fold in range(folds) if (trial, fold) not in done]

    def decisive(self) -> dict[str, Any]:
        """The fields that decide the trials' numbers, for the run's id: by default all."""
        return self.model_dump(mode="json")


def short_name(path: str) -> str:
    """`epsilon` of training.epsilon: the name of its column in trials.parquet."""
    return path.rpartition(".")[2]
