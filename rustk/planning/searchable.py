"""Which fields of a study a search may vary, by what names, and how their values stand in trials.parquet.

They are all fields of the sections `model` and `training` whose values are one number, text or truth value, or a list
of whole numbers or words, but for those that a search could not be worth its cost over.
"""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from rustk.planning.sections import Model, Training
from rustk.vocabulary.checking import Strict

# A value as trials.parquet has it; a list is a text there: 1024-512-256.
Scalar = float | int | str | bool
# The searched values of one trial by their short names: learning_rate, batch_size...
Hyperparameters = dict[str, Scalar]

_EMPTY = "none"
_SECTIONS: Mapping[str, type[Strict]] = {"model": Model, "training": Training}

# Why not, by path.
NOT_SEARCHED = {
    "model.weights": "make a study of each, and compare them with `rustk aggregate`",
    "model.trainable": "make a study of each, and compare them with `rustk aggregate`",
    "training.epochs": (
        "a trial is judged after each of its epochs, so that fewer of them are tried anyway: set the largest number"
    ),
    "training.features": "it changes how long training takes, and not what it comes to",
    "training.precision": "it changes how long training takes, and hardly what it comes to",
    "training.xla": "it changes how long training takes, and hardly what it comes to",
}


@dataclass(frozen=True)
class SearchableField:
    """A field that a search may vary.

    name: of its column in trials.parquet, the last part of its path. type: of one value, or of a list's members where
    `is_list`.
    """

    path: str
    name: str
    type: type
    is_list: bool = False

    @property
    def expected(self) -> str:
        """In words, what values it takes."""
        words = {bool: "true or false", int: "whole numbers", float: "numbers", str: "texts"}[self.type]
        return f"lists of {words}" if self.is_list else words

    @property
    def takes_range(self) -> bool:
        """Whether its values lie between two ends."""
        return self.type in (int, float) and not self.is_list

    def takes(self, value: Any) -> bool:
        """Whether a value of a study's file is of the field's type; whether it is allowed, its section says."""
        if self.is_list:
            return isinstance(value, tuple | list)
        if self.type in (bool, str):
            return isinstance(value, self.type)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and (self.type is float or float(value).is_integer())

    def encode(self, value: Any) -> Scalar:
        """A field's value as trials.parquet has it."""
        if self.is_list:
            # Of words, it only matters which they are.
            members = sorted(value) if self.type is str else value
            return value if isinstance(value, str) else "-".join(map(str, members)) or _EMPTY
        encoded: Scalar = self.type(value)
        return encoded

    def decode(self, value: Scalar) -> Any:
        """The inverse of `encode`; of what `encode` never gave, something that the section refuses."""
        if not self.is_list or not isinstance(value, str):
            return value
        parts = [] if value == _EMPTY else value.split("-")
        return tuple(int(part) if self.type is int and part.isdecimal() else part for part in parts)


def searchable_fields(sections: Mapping[str, type[Strict]]) -> dict[str, SearchableField]:
    """What a search may vary in these sections, by short name. Raises ValueError where two fields have one name."""
    found: dict[str, SearchableField] = {}
    for section, model in sections.items():
        for name, field in model.model_fields.items():
            path = f"{section}.{name}"
            described = _type_of(field.annotation)
            if path in NOT_SEARCHED or described is None:
                continue
            if name in found:
                raise ValueError(f"{path} and {found[name].path} would have one column in trials.parquet: {name}")
            found[name] = SearchableField(path, name, *described)
    return found


def short_name(path: str) -> str:
    """`epsilon` of training.epsilon: the name of its column in trials.parquet."""
    return path.rpartition(".")[2]


def _type_of(annotation: Any) -> tuple[type, bool] | None:
    """(type, whether a list of it) of a field's values; None for what has no column of one type."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_of(arguments[0])
    if origin in (Union, types.UnionType):
        given = [argument for argument in arguments if argument is not type(None)]
        return _type_of(given[0]) if len(given) == 1 else None
    if origin is Literal:
        of_values = {type(value) for value in arguments}
        return (of_values.pop(), False) if len(of_values) == 1 else None
    if origin is tuple and arguments[1:] == (Ellipsis,):
        member = _type_of(arguments[0])
        return (member[0], True) if member and member[0] in (int, str) and not member[1] else None
    return (annotation, False) if annotation in (bool, int, float, str) else None


SEARCHABLE = searchable_fields(_SECTIONS)
BY_PATH = {field.path: field for field in SEARCHABLE.values()}
