"""From a study file's text to a study: YAML, `extends` and overrides."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from rustk.planning.study import Study, validated
from rustk.vocabulary.errors import BadStudy

ReadBase = Callable[[str, str], tuple[str, str]]


def resolve_study(
    text: str,
    *,
    source: str,
    read_base: ReadBase,
    overrides: Sequence[str] = (),
) -> Study:
    """Resolve a study file's text into a study.

    source: how errors name the file. read_base: from the name or path after `extends`, and the source of the file that
    it stands in, to (text, source) of the file meant.
    overrides: `section.field=value` in YAML's notation, applied last.
    Raises BadStudy naming the file, field and value.
    """
    fields = _load(text, source, read_base, ())
    for override in overrides:
        path, separator, value = override.partition("=")
        if not separator or not path.strip():
            raise BadStudy(f"--set {override!r}: expected FIELD=VALUE, as in training.batch_size=64")
        try:
            parsed = yaml.load(value, Loader=_Loader)
        except yaml.YAMLError:
            raise BadStudy(f"--set {override!r}: {value!r} is not a YAML value") from None
        _put(fields, path.strip().split("."), parsed, override)
    return validated(fields, source if not overrides else f"{source} with --set")


class _Loader(yaml.SafeLoader):
    """YAML with the numbers and booleans of version 1.2: 1e-3 is a number, and off is a word."""


_FLOAT, _BOOL = "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (_FLOAT, _BOOL)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
    list("-+0123456789."),
)
_Loader.add_implicit_resolver(_BOOL, re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF"))


def _load(text: str, source: str, read_base: ReadBase, chain: tuple[str, ...]) -> dict[str, Any]:
    if source in chain:
        raise BadStudy(f"{source}: extends itself by way of {' -> '.join((*chain, source))}")
    try:
        fields = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise BadStudy(f"{source}{line}: not YAML: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(fields, dict):
        raise BadStudy(f"{source}: expected a mapping of fields ({', '.join(Study.model_fields)})")
    base = fields.pop("extends", None)
    if base is None:
        return fields
    if not isinstance(base, str):
        raise BadStudy(f"{source}: extends: {base!r}: expected one study's name or path")
    base_text, base_source = read_base(base, source)
    merged = _load(base_text, base_source, read_base, (*chain, source))
    # Prose and the search describe the base, not what extends it.
    for field in ("title", "description"):
        merged.pop(field, None)
    return _merged(merged, fields)


def _merged(base: dict[str, Any], extension: dict[str, Any]) -> dict[str, Any]:
    """`extension` over `base`, field by field; a search replaces the base's whole."""
    result = dict(base)
    for key, value in extension.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict) and key != "search"
        result[key] = _merged(result[key], value) if both else value
    return result


def _put(fields: dict[str, Any], path: list[str], value: Any, override: str) -> None:
    at = fields
    # The parameters of a search are themselves dotted paths.
    if path[:2] == ["search", "parameters"] and len(path) > 3:
        path = [*path[:2], ".".join(path[2:4]), *path[4:]]
    for part in path[:-1]:
        inner = at.setdefault(part, {})
        if not isinstance(inner, dict):
            raise BadStudy(f"--set {override!r}: {part} is {inner!r} and has no field {path[-1]!r}")
        at = inner
    at[path[-1]] = value
