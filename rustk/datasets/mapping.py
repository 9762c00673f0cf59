"""The mapping file: how someone's own table of labels calls columns, views, splits and visits."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from rustk.store.datasets import SPLITS
from rustk.vocabulary.checking import Strict, clip, did_you_mean, validated
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.instrument import Instrument
from rustk.vocabulary.reading import parse_yaml, read_text


def _as_texts(value: Any) -> Any:
    if isinstance(value, dict):
        raise ValueError(f"{clip(value)}: expected a word or a list of words")
    # A single word stands for a list of one, and YAML's numbers and dates for what a CSV cell would hold.
    values = value if isinstance(value, list | tuple) else [value]
    for item in values:
        if isinstance(item, bool):
            raise ValueError(f"YAML reads a word as {str(item).lower()}: write it in quotes")
        if isinstance(item, dict | list):
            raise ValueError("expected a word or a list of words")
    return tuple("" if item is None else str(item) for item in values)


def spellings(score: int) -> tuple[str, ...]:
    """The cells that mean a score."""
    # Spreadsheets write whole numbers as 3.0 once a column has had a blank cell.
    return f"{score}", f"{score}.0"


def _as_section(value: Any) -> Any:
    # A heading with nothing below it but comments is null in YAML.
    return {} if value is None else value


_LONGEST_VISIT = 100

Texts = Annotated[tuple[str, ...], BeforeValidator(_as_texts)]
Meanings = Annotated[dict[str, Texts], BeforeValidator(_as_section)]


class LabelMapping(Strict):
    """A mapping file's content; all of it is optional.

    columns: a name of rustk's (image, patient, view, visit, split, a site or a label of the instrument) to the table's;
    null says that the table has no such column. views, splits, visits: a value of rustk's to the table's. unscored:
    cells that mean that a site has no score, beside blank ones.
    """

    columns: Annotated[dict[str, str | None], BeforeValidator(_as_section)] = Field(default_factory=dict)
    views: Meanings = Field(default_factory=dict)
    splits: Meanings = Field(default_factory=dict)
    visits: Meanings = Field(default_factory=dict)
    unscored: Texts = ()

    def column(self, name: str) -> str | None:
        """What the table calls rustk's column `name`; None where the mapping says that there is none."""
        return self.columns.get(name, name)

    def lacks(self, name: str) -> bool:
        """Whether the mapping says that the table has no column for this."""
        return self.column(name) is None

    def view_of(self, cell: str, views: Iterable[str]) -> str | None:
        """The view, of an instrument's, that a cell means."""
        return _value_of(cell, self.views, views)

    def split_of(self, cell: str) -> str | None:
        """The split that a cell means."""
        return _value_of(cell, self.splits, SPLITS)

    def named_visit(self, cell: str) -> str | None:
        """The visit's name in the store, if the mapping gives it one."""
        return _value_of(cell, self.visits, ())

    def is_unscored(self, cell: str) -> bool:
        """Whether a cell means that a site has no score."""
        return not cell or cell.casefold() in {text.strip().casefold() for text in self.unscored}


def read_mapping(path: Path, instrument: Instrument) -> LabelMapping:
    """Read a mapping file for a table of this instrument's labels. Raises BadStudy, naming the field and what was
    expected.
    """
    source = str(path)
    content = parse_yaml(read_text(path, "a mapping in YAML"), source)
    mapping = validated(LabelMapping, {} if content is None else content, source)
    columns = ("image", "patient", "view", "visit", "split", *instrument.site_names, *instrument.labels)
    _check_names(source, "columns", mapping.columns, columns)
    _check_names(source, "views", mapping.views, instrument.views)
    _check_names(source, "splits", mapping.splits, SPLITS)
    _check_columns(source, mapping, instrument)
    for name in mapping.visits:
        if not name.strip() or not name.isprintable() or len(name) > _LONGEST_VISIT:
            raise BadStudy(
                f"{source}: visits: {clip(name)}: expected a name that can be stored and shown: text on one line, at "
                f"most {_LONGEST_VISIT} characters"
            )
    scores = {text for site in instrument.sites for score in site.scores for text in spellings(score)}
    for cell in mapping.unscored:
        if cell.strip() in scores:
            raise BadStudy(
                f"{source}: unscored: {clip(cell)} is a score of {instrument.name}: expected words that are none"
            )
    for field in ("views", "splits", "visits"):
        _check_distinct(source, field, getattr(mapping, field))
    return mapping


def _check_names(source: str, field: str, given: Iterable[str], expected: Iterable[str]) -> None:
    known = list(expected)
    for name in given:
        if name not in known:
            raise BadStudy(f"{source}: {field}.{clip(name)[1:-1]}: no such field; {did_you_mean(name, known)}")


def _check_columns(source: str, mapping: LabelMapping, instrument: Instrument) -> None:
    has_labels = any(name in instrument.labels for name in mapping.columns)
    if mapping.lacks("image"):
        raise BadStudy(f"{source}: columns.image = null: every row must name its image: give the table's column")
    if mapping.lacks("view") and len(instrument.views) > 1 and not has_labels:
        raise BadStudy(
            f"{source}: columns.view = null: every row must tell its view, {' or '.join(instrument.views)}: give the "
            "table's column"
        )
    for site in instrument.sites:
        if mapping.lacks(site.name) and not instrument.unscored and not has_labels:
            raise BadStudy(
                f"{source}: columns.{site.name} = null: {instrument.name} leaves no {instrument.words.site} unscored: "
                "give the table's column"
            )
    meaning: dict[str, str] = {}
    for name, called in mapping.columns.items():
        if called is not None and not called.strip():
            raise BadStudy(f"{source}: columns.{name} = {clip(called)}: expected the name of a column, or null")
        if called is not None:
            other = meaning.setdefault(called.strip(), name)
            if other != name:
                raise BadStudy(
                    f"{source}: columns: the column {clip(called)} means both {other} and {name}: expected one of them"
                )


def _check_distinct(source: str, field: str, values: Mapping[str, tuple[str, ...]]) -> None:
    meaning: dict[str, str] = {}
    for value, cells in values.items():
        for cell in cells:
            other = meaning.setdefault(cell.strip().casefold(), value)
            if other != value:
                raise BadStudy(
                    f"{source}: {field}: the cell {clip(cell)} means both {other} and {value}: expected one of them"
                )


def _value_of(cell: str, given: Mapping[str, tuple[str, ...]], own: Iterable[str]) -> str | None:
    """The value that a cell means, in upper or lower case; rustk's own words count where the mapping is silent."""
    wanted = cell.strip().casefold()
    for value, cells in given.items():
        if wanted in {text.strip().casefold() for text in cells}:
            return value
    return next((value for value in own if value == wanted), None)
