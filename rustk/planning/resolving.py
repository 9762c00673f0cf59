"""From a study file's text to a study: YAML, `extends` and overrides."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rustk.planning.study import Study, study_from_fields
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.reading import parse_yaml

# From the name or path after `extends`, and the source of the file that it stands in, to (text, source) of that meant.
ReadBase = Callable[[str, str], tuple[str, str]]

_LONGEST_CHAIN = 20


def resolve_study(text: str, *, source: str, read_base: ReadBase, overrides: Sequence[str] = ()) -> Study:
    """Resolve a study file's text into a study.

    source: how errors name the file; one file has one source, however it is reached.
    overrides: `section.field=value` in YAML's notation, applied last. Raises BadStudy naming the file, field and value.
    """
    files: list[_File] = []
    fields = _load(text, source, read_base, files)
    given: dict[str, str] = {}
    for override in overrides:
        path, separator, value = override.partition("=")
        path = path.strip()
        if not separator or not all(part.strip() for part in path.split(".")):
            raise BadStudy(f"--set {clip(override)}: expected FIELD=VALUE, as in training.batch_size=64")
        if before := next((one for one in given if overlap(one, path)), None):
            raise BadStudy(f"--set {clip(override)}: {before} was set before, to {clip(given[before])}: set it once")
        given[path] = value
        _put(fields, path.split("."), parse_yaml(value, f"--set {clip(override)}"), override)
    named = f"{source} with --set" if overrides else source
    try:
        study = study_from_fields(fields, named)
    except BadStudy as error:
        fault = str(error).removeprefix(f"{named}: ")
        raise BadStudy(f"{_source_of(fault, files, given) or named}: {fault}") from None
    for path in given:
        if study.search is not None and path in study.search.paths:
            raise BadStudy(
                f"--set {path}={clip(given[path])[1:-1]}: {source} searches {path}, so that this value would have no "
                f"effect: set search.parameters.{path}, or search=null"
            )
    return study


# The source of a file and its own fields.
_File = tuple[str, dict[str, Any]]


def _source_of(fault: str, files: Sequence[_File], given: Mapping[str, str]) -> str | None:
    """The file that the field is from which a fault begins with; None where it may be any, or --set gave it.

    files: the one that was asked for first, then what it extends, one after the other.
    """
    found = re.match(r"(?:there is no field )?([\w.-]+)", fault)
    top, _, below = found[1].partition(".") if found else ("", "", "")
    if any(path.partition(".")[0] == top for path in given):
        return None
    name = below.partition(".")[0]
    for source, fields in files:
        section = fields.get(top)
        # A search replaces that of the base whole.
        if top in fields and (top == "search" or not isinstance(section, dict) or not name or name in section):
            return source
    return None


def _load(text: str, source: str, read_base: ReadBase, files: list[_File]) -> dict[str, Any]:
    """The fields of a file over those of what it extends. files: those that were read so far; it is added."""
    chain = [one for one, _ in files]
    if source in chain:
        raise BadStudy(f"{source}: extends itself: {' -> '.join((*chain, source))}")
    if len(chain) > _LONGEST_CHAIN:
        raise BadStudy(f"{chain[0]}: extends {source} by way of {len(chain) - 1} others: expected a shorter chain")
    fields = parse_yaml(text, source)
    if fields is None:
        raise BadStudy(f"{source}: the file is empty: expected a mapping of fields ({', '.join(Study.model_fields)})")
    if not isinstance(fields, dict):
        raise BadStudy(f"{source}: {clip(fields)}: expected a mapping of fields ({', '.join(Study.model_fields)})")
    for name in fields:
        if not isinstance(name, str):
            raise BadStudy(f"{source}: {clip(name)}: expected the name of a field ({', '.join(Study.model_fields)})")
    base = fields.pop("extends", None)
    files.append((source, fields))
    if base is None:
        return fields
    if not isinstance(base, str) or not base:
        raise BadStudy(f"{source}: extends = {clip(base)}: expected the name or path of one study")
    base_text, base_source = read_base(base, source)
    merged = _load(base_text, base_source, read_base, files)
    # Prose describes the base, not what extends it.
    for field in ("title", "description", "numbers"):
        merged.pop(field, None)
    return _merged(merged, fields)


def given_paths(overrides: Sequence[str]) -> list[str]:
    """The paths of the fields or sections that overrides, which are known to be sound, give a value."""
    return [override.partition("=")[0].strip() for override in overrides]


def overlap(path: str, other: str) -> bool:
    """Whether two paths are of one field, or one lies within the other."""
    return path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.")


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
            raise BadStudy(f"--set {clip(override)}: {part} is {clip(inner)} and has no field {clip(path[-1])}")
        at = inner
    at[path[-1]] = value
