"""The one reader of text that comes from outside: JSON, YAML and TOML, and the faults of documents in one line.

A document of a user or of a damaged store may be anything: too deep, too large, not text at all. Whatever is wrong
with it ends in the error class that the caller names, with the source, the field, its value and what was expected.
"""

import difflib
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, time
from pathlib import Path
from typing import Any, TypeVar, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from rustk.vocabulary.errors import BadData, BadStudy, RustkError, one_line

T = TypeVar("T", bound=BaseModel)

_DEEPEST = 60  # levels of nesting; rustk's own documents have fewer than ten
_MOST_NODES = 1_000_000  # of a YAML document with its aliases written out
_MOST_BITS = 14_000  # of an integer: Python writes none of more than 4,300 digits
_TOO_LONG = "a number of thousands of digits"
SHA256_PATTERN = r"^[0-9a-f]{64}$"
_LARGEST_TEXT_BYTES = 4 * 1024**2  # YAML of this size takes seconds to read already


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
        return _TOO_LONG
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


def user_path(text: str, expected: str, error: type[RustkError] = BadStudy) -> Path:
    """The path that a user wrote, `~` expanded. Raises `error` for the home of a user that does not exist."""
    try:
        return Path(text).expanduser()
    except RuntimeError as failure:
        raise error(f"{clip(text)}: {_lower(str(failure)).rstrip('.')}: expected {expected}") from None


def read_text(path: Path, expected: str, error: type[RustkError] = BadStudy, *, source: str | None = None) -> str:
    """The text of a user's file. Raises `error` where it can't be read as UTF-8, saying what was `expected`.

    source: what messages call the file, by default its path.
    """
    return decode_text(read_small(path, expected, error, source=source), source or str(path), expected, error)


def decode_text(data: bytes, source: str, expected: str, error: type[RustkError] = BadStudy) -> str:
    """The text that the bytes of a file are in UTF-8. Raises `error` as `read_text` does."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        raise error(f"{source}: byte {failure.start} is not UTF-8: expected {expected}") from None


def read_small(path: Path, expected: str, error: type[RustkError] = BadStudy, *, source: str | None = None) -> bytes:
    """The bytes of a user's file of a few megabytes at most. Raises `error` as `read_text` does."""
    source = source or str(path)
    try:
        check_regular(path, source, expected, error, largest=_LARGEST_TEXT_BYTES)
        return path.read_bytes()
    except (OSError, ValueError) as failure:  # ValueError: a path with a NUL in it
        why = getattr(failure, "strerror", None) or str(failure)
        raise error(f"{source}: {_lower(why)}: expected {expected}") from None


def check_regular(path: Path, source: str, expected: str, error: type[RustkError], *, largest: int) -> None:
    """Raise `error` for what is there and is no file to be read whole: a pipe, a device, more than `largest` bytes.

    A folder, and what is not there, is left to the reading. Raises OSError, and ValueError for a path with a NUL in it.
    """
    # A pipe may never end, and a device may never stop.
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise error(f"{source}: not a regular file: expected {expected}")
    if path.is_file() and (size := path.stat().st_size) > largest:
        raise error(f"{source}: {size:,} bytes: expected {expected}, much smaller")


def parse_json(data: bytes | str, source: str, error: type[RustkError] = BadData) -> Any:
    """JSON, with Infinity, NaN, and a name that stands in one object twice refused. Raises `error` that begins with
    `source`."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant}: expected a finite number or null")

    def each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
            raise _Twice(f"{clip(twice)} appears twice: expected it once")
        return made

    try:
        value = json.loads(data, parse_constant=refuse, object_pairs_hook=each_once)
    except _Twice as failure:
        raise error(f"{source}: {failure}") from None
    except RecursionError:
        raise error(_too_deep(source)) from None
    except ValueError as failure:  # also of bytes that are no text, and of numbers with thousands of digits
        raise error(f"{source}: not JSON: {_why(failure)}") from None
    _check_value(value, source, error)
    return value


class _Twice(ValueError):
    """A name that stands in one object twice."""


def parse_yaml(text: str, source: str, error: type[RustkError] = BadStudy) -> Any:
    """YAML as its version 1.2 reads plain values: 1e-3 is a number, 010 is ten, `off` and 2025-01-31 are words.

    Raises `error` that begins with `source` and names the line, also for a key that stands in one mapping twice, for a
    tag such as !!binary, and for documents too deep or too large to be meant.
    """
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_size(node, source, error)
        return loader.construct_document(node)
    except RecursionError:
        raise error(_too_deep(source)) from None
    except yaml.YAMLError as failure:
        mark = getattr(failure, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        if isinstance(failure, yaml.reader.ReaderError):
            raise error(f"{source}: not YAML: character {failure.position + 1} is a control character") from None
        problem = getattr(failure, "problem", None) or failure
        if problem == "but found another document":
            raise error(f"{source}{line}: not YAML: a second document begins here: expected one") from None
        raise error(f"{source}{line}: not YAML: {problem}") from None
    except (ValueError, TypeError, LookupError) as failure:  # LookupError: !!bool of a word that is neither
        raise error(f"{source}: not YAML: {_why(failure)}") from None
    finally:
        if loader is not None:
            loader.dispose()


def parse_toml(text: str, source: str, error: type[RustkError] = BadStudy) -> dict[str, Any]:
    """TOML. Raises `error` that begins with `source` and shows the line, also for a key that stands in one section
    twice."""
    try:
        value = tomllib.loads(text)
    except RecursionError:
        raise error(_too_deep(source)) from None
    except tomllib.TOMLDecodeError as failure:
        raise error(f"{source}{_toml_fault(str(failure), text)}") from None
    except ValueError as failure:
        raise error(f"{source}: not TOML: {_why(failure)}") from None
    _check_value(value, source, error)
    return value


_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_TOML_TWICE = ("Cannot overwrite a value", "Cannot declare", "Duplicate inline table key")


def _toml_fault(said: str, text: str) -> str:
    """`, line 3: not TOML: ...`: what follows the source, with the line, which tomllib only counts."""
    place = _TOML_PLACE.search(said)
    if place is None:
        return f": not TOML: {one_line(said)}"
    lines = text.rstrip().split("\n")
    number = int(place[1] or len(lines))
    line = clip(lines[number - 1].strip()) if number <= len(lines) else "the end"
    if said.startswith(_TOML_TWICE):
        return f", line {number}: {line} sets what the file has set before: expected each key and section once"
    return f", line {number}: not TOML: {_lower(one_line(said[: place.start()]))}, in {line}"


def _check_value(value: Any, source: str, error: type[RustkError]) -> None:
    """Raise `error` for what is nested too deeply, and for numbers too long to be written out."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        if any(type(part) is int and part.bit_length() > _MOST_BITS for part in level):
            raise error(f"{source}: {_TOO_LONG}")
        inner = [part for part in level if isinstance(part, dict | list)]
        level = [item for part in inner for item in (part.values() if isinstance(part, dict) else part)]
        if not level:
            return
    raise error(_too_deep(source))


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
        raise error(_too_deep(source)) from None


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
        return f"there is no field {path}; {did_you_mean(location[-1], fields)}"
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
    return _lower(fault["msg"].removeprefix("Value error, "))


class _Loader(yaml.SafeLoader):
    """SafeLoader with the plain values of YAML 1.2's core schema, which goes no deeper than a document is meant to be.

    Deep flow mappings take PyYAML quadratic time.
    """

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > _DEEPEST + 1:
            raise RecursionError
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


_TAG = "tag:yaml.org,2002:"
_CORE = frozenset(_TAG + kind for kind in ("null", "bool", "int", "float", "str", "seq", "map", "merge"))
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in (f"{_TAG}null", f"{_TAG}merge")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(f"(?:{_pattern})$"), list(_first))


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    value = int(text, 0) if text.startswith(("0x", "0o")) else int(text)
    if value.bit_length() > _MOST_BITS:
        raise ValueError(_TOO_LONG)
    return value


_Loader.add_constructor(f"{_TAG}int", _construct_int)


# An escape in a quoted text may be anything; a terminal obeys it, and a page or a file's name can't hold it.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def _check_size(node: yaml.Node, source: str, error: type[RustkError]) -> None:
    """Refuse what is too deep or too large once its aliases are written out, bad keys, and control characters."""
    sizes: dict[int, int] = {}

    def size(of: yaml.Node, depth: int) -> int:
        if depth > _DEEPEST:
            raise error(_too_deep(f"{source}, line {of.start_mark.line + 1}"))
        if of.tag not in _CORE:
            raise error(f"{source}, line {of.start_mark.line + 1}: tag {clip(of.tag)}: expected a plain value")
        if id(of) in sizes:
            return sizes[id(of)]
        total = 1
        if isinstance(of, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in of.value:
                if not isinstance(key, yaml.ScalarNode):
                    line = key.start_mark.line + 1
                    raise error(f"{source}, line {line}: a list or a section in place of a name: expected a plain word")
                if key.value != "<<":
                    if key.value in seen:
                        line = key.start_mark.line + 1
                        raise error(f"{source}, line {line}: {clip(key.value)} appears twice: expected it once")
                    seen.add(key.value)
                total += size(key, depth + 1) + size(value, depth + 1)
        elif isinstance(of, yaml.ScalarNode):
            if _UNPRINTABLE.search(of.value):
                line = of.start_mark.line + 1
                raise error(f"{source}, line {line}: {clip(of.value)}: expected text without control characters")
        elif isinstance(of, yaml.SequenceNode):
            total += sum(size(item, depth + 1) for item in of.value)
        if total > _MOST_NODES:
            raise error(f"{source}: more than {_MOST_NODES:,} values: expected a smaller document")
        sizes[id(of)] = total
        return total

    size(node, 0)


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


def _too_deep(source: str) -> str:
    return f"{source}: nested too deeply: expected at most {_DEEPEST} levels"


def _lower(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _listed(model: type[BaseModel]) -> str:
    return ", ".join(model.model_fields)


def _why(failure: Exception) -> str:
    text = str(failure)
    return _TOO_LONG if "Exceeds the limit" in text else one_line(text)
