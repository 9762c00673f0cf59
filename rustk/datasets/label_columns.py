"""Where a table of labels has rustk's columns, and what each of its rows must be: for a build, and for predict."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from rustk.datasets.faults import FaultKind
from rustk.datasets.mapping import LabelMapping
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadStudy, one_line
from rustk.vocabulary.instrument import Instrument
from rustk.vocabulary.wording import counted

# What a mapping explains the cells of, and in which column they stand.
EXPLAINED = {"view": "views", "split": "splits", "visit": "visits"}


class RowFault(Exception):
    """What is wrong with one row of a table."""

    def __init__(self, kind: FaultKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def locate_columns(
    path: Path,
    header: list[str],
    mapping: LabelMapping,
    wanted: Mapping[str, bool],
    *,
    explained: Iterable[str] = tuple(EXPLAINED),
) -> dict[str, int]:
    """Where each of rustk's columns that are `wanted` stands: by its name, whether the table must have it.

    explained: columns whose cells the mapping may explain only where the table has them. Raises BadStudy for a column
    that is missing, stands there twice, or is read as two of rustk's.
    """
    if len(header) == 1 and sum(wanted.values()) > 1:
        raise BadStudy(
            f"{path}: the first line is the single cell {clip(header[0])}: expected the names of the columns, with "
            "commas, semicolons or tabs between them"
        )
    place: dict[str, int] = {}
    for name, needed in wanted.items():
        called = mapping.column(name)
        if called is None:
            continue
        of = f" (the mapping's columns.{name})" if called != name else ""
        if (count := header.count(called)) > 1:
            raise BadStudy(f"{path}: the column {clip(called)} appears {count} times: expected once")
        if count:
            place[name] = header.index(called)
        elif needed or name in mapping.columns:
            raise BadStudy(
                f"{path}: no column {clip(called)}{of}; its first line, which must name the columns, has "
                f"{one_line(', '.join(header), 400)}: say in a --mapping file what the table calls it"
            )
    _check_read_once(path, header, place, mapping)
    for name in explained:
        if getattr(mapping, EXPLAINED[name]) and name not in place:
            raise BadStudy(
                f"{path}: no column {clip(mapping.column(name) or name)}, whose cells the mapping's {EXPLAINED[name]} "
                f"explains: say in columns.{name} what the table calls it, or leave {EXPLAINED[name]} out"
            )
    return place


def _check_read_once(path: Path, header: list[str], place: Mapping[str, int], mapping: LabelMapping) -> None:
    # One of the two names is meant by default: the mapping alone does not show it.
    meaning: dict[int, str] = {}
    for name, column in place.items():
        other = meaning.setdefault(column, name)
        if other != name:
            written, default = (name, other) if name in mapping.columns else (other, name)
            raise BadStudy(
                f"{path}: the column {clip(header[column])} means both {other} and {name}: expected one of them: "
                f"change columns.{written} of the --mapping file, or say in columns.{default} what the table calls that"
            )


def image_of(cells: list[str], place: Mapping[str, int]) -> str:
    """What a row calls its image; blank for a row that is too short."""
    return cells[place["image"]] if place["image"] < len(cells) else ""


def check_row(cells: list[str], header: list[str], place: Mapping[str, int]) -> dict[str, str]:
    """The cells of a row by rustk's names of their columns. Raises RowFault for a row that can't be any image's."""
    if len(cells) != len(header):
        raise RowFault(
            FaultKind.MALFORMED_ROW,
            f"{counted(len(cells), 'cell')}: expected {len(header)}, as many as the header has",
        )
    cell = {name: cells[column] for name, column in place.items()}
    for name in ("patient", "visit"):
        # Two spellings of a patient that look alike would be two patients.
        if not cell.get(name, "").isprintable():
            raise RowFault(
                FaultKind.MALFORMED_ROW,
                f"{name} {clip(cell[name])} has characters that can't be seen: expected letters, digits, signs and "
                "plain spaces",
            )
    if not cell["image"]:
        raise RowFault(FaultKind.IMAGE_MISSING, "no image is named: expected a file of the folder")
    if cell.get("patient") == "":
        raise RowFault(FaultKind.PATIENT_MISSING, "no patient is named: expected what tells this patient from others")
    return cell


def view_of_row(cell: Mapping[str, str], mapping: LabelMapping, instrument: Instrument) -> str:
    """The view that a row names; the only one where the table needs no such column. Raises RowFault."""
    view = mapping.view_of(cell["view"], instrument.views) if "view" in cell else instrument.views[0]
    if view is None:
        raise RowFault(
            FaultKind.UNKNOWN_VIEW,
            f"view {clip(cell['view'])}: expected {' or '.join(instrument.views)}, or a word that the mapping's views "
            "explains",
        )
    return view
