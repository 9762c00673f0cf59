"""The fields of documents that come from outside, checked: what is wrong with one is told in one line.

It ends in the error class that the caller names, with the source, the field, its value and what was expected. The text
of a document is read in `reading`.
"""

import difflib
from collections.abc import Iterable, Mapping
from datetime import date, time
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from rustk.vocabulary.errors import BadStudy, RustkError, one_line

T = TypeVar("T", bound=BaseModel)

DEEPEST = 60  # levels of nesting; rustk's own documents have fewer than ten
TOO_LONG = "a number of thousands of digits"
SHA256_PATTERN = r"^[0-9a-f]{64}$"


class Strict(BaseModel):
    """A part of a document: unknown fields are refused, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


# As YAML and JSON write them, where Python's words differ.
_WRITTEN = {id(True): "true", id(False): "false", id(None): "null"}


def clip(value: object, longest: int = 80) -> str:
    """A value as a message shows it: as its file has it, on one line, cut where it is long."""
    if id(value) in _WRITTEN:
        return _WRITTEN[id(value)]
    if isinstance(value, date | time):  # TOML has them
        return value.isoformat()
    try:
        return one_line(repr(value), longest)
    except ValueError:  # an integer of more than 4,300 digits has no decimal text
        return TOO_LONG
    except RecursionError:
        return "a deeply nested value"


def did_you_mean(name: object, choices: Iterable[str]) -> str:
    """`did you mean x?` for a near miss, else `expected one of ...`.

    Of dotted paths the last part counts: the right field in the wrong section is nearer than a neighbour in it.
    """
    listed = list(choices)
    meant = one_line(str(name))
    by_word = {choice: choice for choice in listed}
    if "." in meant and any("." in choice for choice in listed):
        meant, by_word = meant.rpartition(".")[2], {choice.rpartition(".")[2]: choice for choice in listed}
    near = difflib.get_close_matches(meant, by_word, n=1)
    if near:
        return f"did you mean {by_word[near[0]]}?"
    if len(listed) == 1:
        return f"expected {listed[0]}"
    return f"expected one of {', '.join(listed)}" if listed else "there are none"


def validated(model: type[T], fields: Any, source: str, error: type[RustkError] = BadStudy, *, at: str = "") -> T:
    """The document of these fields. Raises `error` with the first fault in one line, after `source`.

    at: the section of the source that these fields are, for the path of the faulty one.
    """
    if not isinstance(fields, Mapping):
        where = f"{at} = " if at else ""
        raise error(f"{source}: {where}{clip(fields)}: expected an object with the fields {_listed(model)}")
    try:
        return model.model_validate(dict(fields))
    except ValidationError as failure:
        raise error(f"{source}: {first_fault(failure, model, at)}") from None
    except RecursionError:
        raise error(too_deep(source)) from None


def first_fault(error: ValidationError, model: type[BaseModel], at: str = "") -> str:
    """The first fault of a document in one line: the field's path, its value, and what was expected.

    at: the section that the document is of a larger one.
    """
    first = error.errors(include_url=False)[0]
    location = [str(part) for part in first["loc"] if not _is_union_tag(part)]
    path = ".".join(one_line(part, 60) for part in ([at] if at else []) + location)
    if first["type"] == "extra_forbidden":
        fields = _fields_at(model, location[:-1])
        if location[-1] in fields:  # of another kind of section than the fields beside it
            kinds = [", ".join(of.model_fields) for of in _sections_at(model, location[:-1])]
            return f"{path} can't stand beside the other fields there: expected {'; or '.join(kinds)}"
        elsewhere = " or ".join(_places_of(model, location[-1], at))
        meant = f"did you mean {elsewhere}?" if elsewhere else did_you_mean(location[-1], fields)
        return f"there is no field {path}; {meant}"
    if first["type"] == "missing":
        return f"{path}: missing{_kind_at(model, location)}"
    is_key = location[-1:] == [_KEY]
    if is_key or first["type"] == "invalid_key":
        # Only YAML has names that are no text.
        within = ".".join(([at] if at else []) + location[: -2 if is_key else -1])
        said = f"the name {clip(first.get('input'))}: expected text, in quotes where YAML takes it for another value"
        return f"{one_line(within)}: {said}" if within else said
    message = _expectation(first, _fields_at(model, location, inside=True) if location else [])
    # A rule of a whole section names its field itself.
    if first["type"] == "value_error" and not location:
        return f"{at}.{message}" if at else message
    value = first.get("input")
    # Of a section with a fault in it, the whole says nothing; of one where there should be none, it does.
    is_section = isinstance(value, dict | BaseModel) and not first["type"].endswith("_type")
    shown = f" = {clip(value)}" if path and not is_section else ""
    return f"{path}{shown}: {message}" if path else message


# What pydantic calls the name, rather than the value, of one of a section's entries.
_KEY = "[key]"

# What pydantic says of a value, by its name for the fault, in the words of this package's other messages.
_EXPECTATIONS = {
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "string_type": "expected text",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected at least {ge}",
    "less_than": "expected less than {lt}",
    "less_than_equal": "expected at most {le}",
    "literal_error": "expected {expected}",
    "too_short": "expected at least {min_length} {values}",
    "too_long": "expected at most {max_length} {values}",
    "string_too_short": "expected at least {min_length} {characters}",
    "string_too_long": "expected at most {max_length} {characters}",
}
_EXPECTATIONS |= dict.fromkeys(
    (
        "datetime_type",
        "datetime_parsing",
        "datetime_from_date_parsing",
        "datetime_object_invalid",
        "timezone_aware",
    ),
    "expected a date and time with its zone, as 2026-01-31T09:30:00Z",
)
_SECTIONS = ("dict_type", "mapping_type", "model_type", "model_attributes_type")


def _expectation(fault: Mapping[str, Any], fields: list[str]) -> str:
    """What was expected instead. fields: of the section that there should be."""
    if fault["type"] in _SECTIONS:
        return f"expected a section of fields ({', '.join(dict.fromkeys(fields))})" if fields else "expected a section"
    bounds = fault.get("ctx") or {}
    if fault["type"] == "string_pattern_mismatch" and bounds.get("pattern") == SHA256_PATTERN:
        return "expected a sha256, 64 digits of 0-9 and a-f"
    if said := _EXPECTATIONS.get(fault["type"]):
        whole = {name: int(bound) for name, bound in bounds.items() if isinstance(bound, float) and bound.is_integer()}
        one = 1 in (bounds.get("min_length"), bounds.get("max_length"))
        units = {"values": "value" if one else "values", "characters": "character" if one else "characters"}
        return said.format_map({**bounds, **whole, **units})
    return lower(fault["msg"].removeprefix("Value error, "))


def _fields_at(model: type[BaseModel], path: list[str], *, inside: bool = False) -> list[str]:
    """The valid field names of the section at `path`."""
    return [name for m in _sections_at(model, path, inside=inside) for name in m.model_fields]


def _sections_at(model: type[BaseModel], path: list[str], *, inside: bool = False) -> list[type[BaseModel]]:
    """What the section at `path` may be: several where it is one of several kinds.

    inside: nothing where a part is a field that takes any names, rather than the section around it.
    """
    models: list[type[BaseModel]] = [model]
    for part in path:
        inner = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        found = [of for annotation in inner for of in _models_in(annotation)]
        if inside and inner and not found:
            return []
        # A part that is no field's name is a key of a mapping, a place in a list, or the kind of a union's member.
        models = found or models
    return models


def _places_of(model: type[BaseModel], name: str, at: str) -> list[str]:
    """The paths of the fields of this name in the document's sections."""
    found = [
        ".".join(filter(None, (at, section, name)))
        for section, field in model.model_fields.items()
        for inner in _models_in(field.annotation)
        if name in inner.model_fields
    ]
    return list(dict.fromkeys(found))


def _kind_at(model: type[BaseModel], path: list[str]) -> str:
    """`: expected a list`: what kind of value the field at `path` takes; empty where that is not plain."""
    fields = [found.model_fields.get(path[-1]) for found in _sections_at(model, path[:-1])]
    kinds = {_KINDS.get(get_origin(field.annotation) or field.annotation) for field in fields if field is not None}
    kind = kinds.pop() if len(kinds) == 1 else None
    return f": expected {kind}" if kind else ""


_KINDS: Mapping[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list",
    dict: "a section of fields",
}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models_in(inner)]


def _is_union_tag(part: str | int) -> bool:
    """Whether a part of a fault's place is no field, but pydantic's word for one alternative of several."""
    tags = ("literal[", "tuple[", "constrained-", "function-", "one-of-")
    return isinstance(part, str) and (part in ("int", "float", "str") or part.startswith(tags))


def too_deep(source: str) -> str:
    """What a message says of a document of more levels than any is meant to have."""
    return f"{source}: nested too deeply: expected at most {DEEPEST} levels"


def lower(text: str) -> str:
    """A sentence of another library as the end of a message: without its capital, unless that is of an acronym."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _listed(model: type[BaseModel]) -> str:
    return ", ".join(model.model_fields)
