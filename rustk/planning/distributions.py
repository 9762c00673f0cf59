"""What a searched field is drawn from: a range, uniformly or by its logarithm, or a list of choices."""

import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from rustk.vocabulary.checking import Strict, clip

_LONGEST_LIST = 100
_LONGEST_TEXT = 200
MOST_VALUES = 100_000


def _not_huge(value: float) -> float:
    if abs(value) > 2**53:
        raise ValueError("expected a number between -2^53 and 2^53")
    return value


def _plain(value: Any) -> Any:
    """A value of a study's file that a field may take: whether it does, the field's section says."""
    if isinstance(value, list | tuple):
        if len(value) > _LONGEST_LIST or any(isinstance(part, list | tuple) for part in value):
            raise ValueError(f"expected a list of at most {_LONGEST_LIST} plain values")
        return tuple(_plain(part) for part in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected a finite number")
    if isinstance(value, int | float):
        return value if isinstance(value, bool) else _not_huge(value)
    if isinstance(value, str) and len(value) <= _LONGEST_TEXT:
        return value
    raise ValueError("expected a number, a text, true or false, or a list of these")


def _as_it_is(value: Any) -> Any:
    return value


# Numbers that a float holds exactly; true is none, and text neither.
Real = Annotated[float, Field(strict=True), AfterValidator(_not_huge)]
Whole = Annotated[int, Field(strict=True), AfterValidator(_not_huge)]
# Any value of a field: a list is a tuple here.
Value = Annotated[float | str | bool | tuple[int | str, ...], PlainValidator(_plain), PlainSerializer(_as_it_is)]


class Range(Strict):
    """Over the integers low..high, both ends in, or over the reals [low, high).

    log: uniform in the logarithm, so that each decade is drawn as often.
    """

    low: Real
    high: Real
    type: Literal["int", "float"] = "float"
    log: bool = Field(False, strict=True)

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        if self.type == "int" and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(f"low {self.low:g} and high {self.high:g} must be whole numbers for type int")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low:g} must be more than 0 where log is true")
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """`log` joined later: without it a range is, to the letter, what it was, and so is its run's id."""
        fields: dict[str, Any] = handler(self)
        if not self.log:
            fields.pop("log", None)
        return fields

    @property
    def extremes(self) -> Iterable[Any]:
        """The least and the greatest value that can be drawn."""
        if self.type == "int":
            return int(self.low), int(self.high)
        return self.low, math.nextafter(self.high, self.low)

    def draw(self, rng: np.random.Generator) -> Any:
        """One value from `rng`."""
        if self.log:
            return self.at(rng.random())
        if self.type == "int":
            return int(rng.integers(int(self.low), int(self.high), endpoint=True))
        return float(rng.uniform(self.low, self.high))

    def at(self, share: float) -> Any:
        """The value below which a `share` of the draws lie, in [0, 1): the inverse of the distribution function."""
        least, greatest = self.extremes
        # A whole number stands for the unit of length around it.
        low, high = (self.low - 0.5, self.high + 0.5) if self.type == "int" else (self.low, self.high)
        if self.log:
            value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            value = low + share * (high - low)
        rounded = math.floor(value + 0.5) if self.type == "int" else value
        return min(max(rounded, least), greatest)


class Choices(Strict):
    """Values without an order, each as probable."""

    values: tuple[Value, ...] = Field(min_length=1, max_length=MOST_VALUES)

    @model_validator(mode="after")
    def _once(self) -> "Choices":
        check_once(self.values)
        return self

    @property
    def extremes(self) -> Iterable[Any]:
        """All of them."""
        return self.values

    def draw(self, rng: np.random.Generator) -> Any:
        """One value from `rng`."""
        return self.values[int(rng.integers(len(self.values)))]

    def at(self, share: float) -> Any:
        """The value at a share of the list's length, in [0, 1)."""
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]


def _is_choices(fields: Any) -> str:
    has_values = isinstance(fields, Choices) or (isinstance(fields, dict) and "values" in fields)
    return "one-of-choices" if has_values else "one-of-range"


Distribution = Annotated[
    Annotated[Range, Tag("one-of-range")] | Annotated[Choices, Tag("one-of-choices")], Discriminator(_is_choices)
]


def check_once(values: tuple[Any, ...]) -> None:
    """Raise ValueError for a list in which a value stands twice."""
    # In Python true equals 1, in a study they differ.
    if len({(isinstance(value, bool), value) for value in values}) < len(values):
        raise ValueError(f"a value appears twice: {clip(list(values[:20]))}")
