"""The one reader of text that comes from outside: files as text, and text as JSON, YAML and TOML.

It may be anything: too deep, too large, not text at all. Whatever is wrong with it ends in the error class that the
caller names, with the source, the line and what was expected. The fields of what was read are checked in `checking`.
"""

import json
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from rustk.vocabulary.checking import DEEPEST, TOO_LONG, clip, lower, too_deep
from rustk.vocabulary.errors import BadData, BadStudy, RustkError, one_line

_MOST_NODES = 1_000_000  # of a YAML document with its aliases written out
_MOST_BITS = 14_000  # of an integer: Python writes none of more than 4,300 digits
_LARGEST_TEXT_BYTES = 4 * 1024**2  # YAML of this size takes seconds to read already


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
        raise error(f"{source}: {lower(why)}: expected {expected}") from None


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
        raise error(too_deep(source)) from None
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
        raise error(too_deep(source)) from None
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
        raise error(too_deep(source)) from None
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
    return f", line {number}: not TOML: {lower(one_line(said[: place.start()]))}, in {line}"


def _check_value(value: Any, source: str, error: type[RustkError]) -> None:
    """Raise `error` for what is nested too deeply, and for numbers too long to be written out."""
    level = [value]
    for _ in range(DEEPEST + 1):
        if any(type(part) is int and part.bit_length() > _MOST_BITS for part in level):
            raise error(f"{source}: {TOO_LONG}")
        inner = [part for part in level if isinstance(part, dict | list)]
        level = [item for part in inner for item in (part.values() if isinstance(part, dict) else part)]
        if not level:
            return
    raise error(too_deep(source))


class _Loader(yaml.SafeLoader):
    """SafeLoader with the plain values of YAML 1.2's core schema, which goes no deeper than a document is meant to be.

    Deep flow mappings take PyYAML quadratic time.
    """

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > DEEPEST + 1:
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
        raise ValueError(TOO_LONG)
    return value


_Loader.add_constructor(f"{_TAG}int", _construct_int)


# An escape in a quoted text may be anything; a terminal obeys it, and a page or a file's name can't hold it.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def _check_size(node: yaml.Node, source: str, error: type[RustkError]) -> None:
    """Refuse what is too deep or too large once its aliases are written out, bad keys, and control characters."""
    sizes: dict[int, int] = {}

    def size(of: yaml.Node, depth: int) -> int:
        if depth > DEEPEST:
            raise error(too_deep(f"{source}, line {of.start_mark.line + 1}"))
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


def _why(failure: Exception) -> str:
    text = str(failure)
    return TOO_LONG if "Exceeds the limit" in text else one_line(text)
