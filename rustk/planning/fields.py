"""Every field of a study in words, made from the schema: `rustk studies --fields`, and the table of docs/studies.md."""

from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rustk.planning.search.base import SearchSpec
from rustk.planning.study import Study
from rustk.vocabulary.kinds import kinds, load_kind

_WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}
# Fields whose values are the kinds of a room.
_ROOMS = {
    "model.architecture": "training/backbones",
    "model.objective": "training/objectives",
    "search.kind": "planning/search",
}


@dataclass(frozen=True)
class FieldWords:
    """One field: its dotted path, what it may be, its default, and what it is for."""

    path: str
    expected: str
    default: str
    meaning: str


def describe_fields() -> list[FieldWords]:
    """The fields of a study's file in the order of the schema, those of every kind of search last."""
    found = _of_model(Study, "")
    for kind in kinds("planning/search"):
        search = load_kind("planning/search", kind, "search.kind").Search
        fields = {name: field for name, field in search.model_fields.items() if name not in ("kind", "race")}
        for name, field in fields.items():
            expected = _expected(field.annotation, field.metadata)
            found.append(FieldWords(f"search.{name} ({kind})", expected, _default(field), field.description or ""))
    rules = kinds("planning/races")
    found.append(
        FieldWords("search.race", ", ".join(rules), "no race", SearchSpec.model_fields["race"].description or "")
    )
    for rule in rules:
        race = load_kind("planning/races", rule, "search.race").Race
        for name, field in race.model_fields.items():
            if name != "kind":
                expected = _expected(field.annotation, field.metadata)
                found.append(
                    FieldWords(f"search.race.{name} ({rule})", expected, _default(field), field.description or "")
                )
    return found


def _of_model(model: type[BaseModel], prefix: str) -> list[FieldWords]:
    found = []
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += _of_model(field.annotation, f"{path}.")
            continue
        if path == "search":
            kinds_ = ", ".join(kinds("planning/search"))
            found.append(FieldWords("search.kind", kinds_, "no search", field.description or ""))
            continue
        expected = ", ".join(kinds(_ROOMS[path])) if path in _ROOMS else _expected(field.annotation, field.metadata)
        if path == "model.architecture":
            expected += ", or package.module:function"
        found.append(FieldWords(path, expected, _default(field), field.description or ""))
    return found


def _expected(annotation: Any, metadata: list[Any]) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(map(str, arguments))
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_expected(part, []) for part in arguments if part is not type(None)))
    if origin is tuple:
        return f"a list: each {_expected(arguments[0], [])}"
    if origin is dict:
        return f"a mapping: each {_expected(arguments[1], [])}"
    if origin is not None and hasattr(annotation, "__metadata__"):  # Annotated
        return _expected(arguments[0], list(annotation.__metadata__))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        inner = ", ".join(annotation.model_fields)
        return f"an object with {inner}"
    words = _WORDS.get(annotation, "any value")
    return f"{words}{_bounds(metadata)}"


def _bounds(metadata: list[Any]) -> str:
    flat = [one for part in metadata for one in getattr(part, "metadata", [part])]
    low = [f"at least {_number(part.ge)}" for part in flat if isinstance(part, annotated_types.Ge)]
    low += [f"more than {_number(part.gt)}" for part in flat if isinstance(part, annotated_types.Gt)]
    high = [f"at most {_number(part.le)}" for part in flat if isinstance(part, annotated_types.Le)]
    high += [f"less than {_number(part.lt)}" for part in flat if isinstance(part, annotated_types.Lt)]
    said = " and ".join([*low, *high])
    return f", {said}" if said else ""


def _number(value: Any) -> str:
    """Large powers of two as such: 2^32 says more than ten digits."""
    if isinstance(value, int) and value >= 2**20 and value & (value - 1) == 0:
        return f"2^{value.bit_length() - 1}"
    return f"{value:,.10g}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value in ("", None, {}) else str(value)
