"""The mapping file: how someone's own table of labels calls columns, views, splits and visits."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.labels import CORTICES, LABELS, VIEWS

COLUMNS = ("image", "patient", "view", "visit", "split", *CORTICES, *LABELS)
SPLITS = ("develop", "test")


def _as_texts(value: Any) -> Any:
    # A single word stands for a list of one, and YAML's numbers and dates for what a CSV cell would hold.
    values = value if isinstance(value, list | tuple) else [value]
    for item in values:
        if isinstance(item, bool):
            raise ValueError(f"YAML reads a word as {str(item).lower()}: write it in quotes")
        if isinstance(item, dict | list):
            raise ValueError("expected a word or a list of words")
    return tuple("" if item is None else str(item) for item in values)


Texts = Annotated[tuple[str, ...], BeforeValidator(_as_texts)]


class LabelMapping(BaseModel):
    """A mapping file's content; all of it is optional.

    columns: a name of rustk's (image, patient, view, visit, split, the four cortices, or the 18 labels) to the
    table's; `patient: null` says that patients are not known. views, splits, visits: a value of rustk's to the
    table's. unscored: cells that mean that a cortex has no score, beside blank ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, str | None] = Field(default_factory=dict)
    views: dict[str, Texts] = Field(default_factory=dict)
    splits: dict[str, Texts] = Field(default_factory=dict)
    visits: dict[str, Texts] = Field(default_factory=dict)
    unscored: Texts = ()

    def column(self, name: str) -> str | None:
        """What the table calls rustk's column `name`; None where the mapping says that there is none."""
        return self.columns.get(name, name)

    @property
    def patients_unknown(self) -> bool:
        return "patient" in self.columns and self.columns["patient"] is None

    def view_of(self, cell: str) -> str | None:
        return _value_of(cell, self.views, VIEWS)

    def split_of(self, cell: str) -> str | None:
        return _value_of(cell, self.splits, SPLITS)

    def named_visit(self, cell: str) -> str | None:
        """The visit's name in the store, if the mapping gives it one."""
        return _value_of(cell, self.visits, ())

    def is_unscored(self, cell: str) -> bool:
        return not cell or cell.casefold() in {text.strip().casefold() for text in self.unscored}


def read_mapping(path: Path) -> LabelMapping:
    """Read a mapping file. Raises BadStudy, naming the field and what was expected."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadStudy(f"{path}: {error.strerror}: expected a mapping in YAML") from None
    except UnicodeDecodeError:
        raise BadStudy(f"{path}: not a text file: expected a mapping in YAML") from None
    except yaml.YAMLError as error:
        raise BadStudy(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise BadStudy(f"{path}: expected the fields {', '.join(LabelMapping.model_fields)}")
    _check_names(path, "", content, LabelMapping.model_fields)
    try:
        mapping = LabelMapping.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadStudy(f"{path}: {where}: {first['msg']}, got {first['input']!r}") from None
    _check_names(path, "columns.", mapping.columns, COLUMNS)
    _check_names(path, "views.", mapping.views, VIEWS)
    _check_names(path, "splits.", mapping.splits, SPLITS)
    for field in ("views", "splits", "visits"):
        _check_distinct(path, field, getattr(mapping, field))
    return mapping


def _check_names(path: Path, where: str, given: Mapping[Any, Any], expected: Iterable[str]) -> None:
    for name in given:
        if name not in expected:
            near = difflib.get_close_matches(str(name), list(expected), n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(expected)}"
            raise BadStudy(f"{path}: {where}{name}: no such field; {hint}")


def _check_distinct(path: Path, field: str, values: Mapping[str, tuple[str, ...]]) -> None:
    meaning: dict[str, str] = {}
    for value, cells in values.items():
        for cell in cells:
            other = meaning.setdefault(cell.strip().casefold(), value)
            if other != value:
                raise BadStudy(
                    f"{path}: {field}: the cell {cell!r} means both {other} and {value}: expected one of them"
                )


def _value_of(cell: str, given: Mapping[str, tuple[str, ...]], own: Iterable[str]) -> str | None:
    """The value that a cell means, in upper or lower case; rustk's own words count where the mapping is silent."""
    wanted = cell.strip().casefold()
    for value, cells in given.items():
        if wanted in {text.strip().casefold() for text in cells}:
            return value
    return next((value for value in own if value == wanted), None)
