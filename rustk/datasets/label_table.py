"""Reads a table of labels: one row an image, with a column of scores for each site or the one-hot table of labels."""

import csv
import io
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rustk.datasets.faults import Fault, FaultKind
from rustk.datasets.mapping import LabelMapping
from rustk.vocabulary.checking import clip, decode_text, read_small
from rustk.vocabulary.errors import BadStudy, one_line
from rustk.vocabulary.instrument import Instrument, Site, describe_scores

_EXPECTED = "a table of labels as CSV in UTF-8"
# How files begin that are often taken for CSV.
_OTHER_KINDS = (
    (b"PK\x03\x04", "an Excel workbook or another archive"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook"),
    (b"\xff\xfe", "in UTF-16"),
    (b"\xfe\xff", "in UTF-16"),
)


@dataclass(frozen=True)
class LabelRow:
    """One row of the table. `row` counts as a spreadsheet does; `patient` and `visit` are as the table has them."""

    row: int
    image: str
    patient: str | None
    visit: str | None
    split: str | None
    view: str
    scores: Mapping[str, int | None]


@dataclass(frozen=True)
class LabelTable:
    """The rows that can be read, and a fault for each that can't; `images` maps every row to the file that it names."""

    rows: tuple[LabelRow, ...]
    faults: tuple[Fault, ...]
    images: Mapping[int, str]
    has_split: bool
    row_count: int


class _RowFault(Exception):
    def __init__(self, kind: FaultKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def read_label_table(path: Path, mapping: LabelMapping, instrument: Instrument) -> LabelTable:
    """Read a CSV file, comma, semicolon or tab between its cells. Rows with nothing in them are passed over.

    Raises BadStudy where it is no such table at all: unreadable, or without a column that is needed.
    """
    header, records = read_csv(path)
    place = _locate_columns(path, header, mapping, instrument)
    one_hot = any(label in place for label in instrument.labels)
    rows, faults, images = [], [], {}
    count = 0
    for number, cells in enumerate(records, start=2):
        if not any(cells):
            continue
        count += 1
        cell = {name: cells[column] for name, column in place.items() if column < len(cells)}
        images[number] = cell.get("image", "")
        try:
            if len(cells) != len(header):
                raise _RowFault(
                    FaultKind.MALFORMED_ROW, f"{len(cells)} cells: expected {len(header)}, as many as the header has"
                )
            rows.append(_parse_row(number, cell, mapping, instrument, one_hot))
        except _RowFault as fault:
            faults.append(Fault(number, fault.kind, images[number], str(fault)))
    if not count:
        raise BadStudy(f"{path}: no rows after the header: expected one for every image")
    return LabelTable(tuple(rows), tuple(faults), images, "split" in place, count)


def read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the further records of a CSV file, each cell without spaces around it. Raises BadStudy."""
    data = read_small(path, _EXPECTED)
    for signature, kind in _OTHER_KINDS:
        if data.startswith(signature):
            raise BadStudy(f"{path}: is {kind}: save it as CSV in UTF-8")
    text = decode_text(data, str(path), _EXPECTED)
    if "\0" in text:
        raise BadStudy(f"{path}: has NUL bytes, as text never does: expected {_EXPECTED}")
    first_line = text.partition("\n")[0]
    delimiter = max(",;\t", key=first_line.count)
    records: list[list[str]] = []
    try:
        for record in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            records.append(record)  # noqa: PERF402 (those before a fault say which row has it)
    except csv.Error as error:
        said = str(error)
        if "unexpected end of data" in said:
            said = "a quotation mark is opened and not closed: close it, or write it twice where it is meant"
        elif "field larger" in said:
            said = (
                f"a cell has more than {csv.field_size_limit():,} characters: expected a name or a score (is a "
                "quotation mark not closed?)"
            )
        raise BadStudy(f"{path} row {len(records) + 1}: not CSV: {said}") from None
    if not records or not any(cell.strip() for cell in records[0]):
        raise BadStudy(f"{path}: no header: expected a first line with the names of the columns")
    stripped = [[cell.strip() for cell in record] for record in records]
    return stripped[0], stripped[1:]


def _locate_columns(path: Path, header: list[str], mapping: LabelMapping, instrument: Instrument) -> dict[str, int]:
    """Where each of rustk's columns stands. With scores it has the view (which may be left out where there is only one)
    and the sites, with the one-hot table the labels.
    """

    if len(header) == 1:
        raise BadStudy(
            f"{path}: the first line is the single cell {clip(header[0])}: expected the names of the columns, with "
            "commas, semicolons or tabs between them"
        )

    def find(name: str, *, needed: bool) -> int | None:
        called = mapping.column(name)
        if called is None:
            return None
        if (found := header.count(called)) > 1:
            raise BadStudy(f"{path}: the column {clip(called)} appears {found} times: expected once")
        if not found and (needed or name in mapping.columns):
            of = "" if called == name else f" (the mapping's columns.{name})"
            raise BadStudy(
                f"{path}: no column {clip(called)}{of}; its first line, which must name the columns, has "
                f"{one_line(', '.join(header), 400)}: say in a --mapping file what the table calls it"
            )
        return header.index(called) if found else None

    labels, sites = instrument.labels, instrument.site_names
    several_views = len(instrument.views) > 1
    has_all_labels = all(mapping.column(label) in header for label in labels)
    has_scores = mapping.column("view") in header if several_views else all(mapping.column(s) in header for s in sites)
    if has_all_labels and has_scores:
        what = "a view column" if several_views else "a column for each site"
        raise BadStudy(f"{path}: has both {what} and the one-hot table of {len(labels)} columns: take one of them out")
    one_hot = has_all_labels or any(name in labels for name in mapping.columns)
    place = {"image": find("image", needed=True), "patient": find("patient", needed=not mapping.lacks("patient"))}
    place |= {name: find(name, needed=False) for name in ("visit", "split")}
    if one_hot:
        place |= {name: find(name, needed=True) for name in labels}
    else:
        place |= {"view": find("view", needed=several_views)}
        place |= {name: find(name, needed=True) for name in sites}
    found = {name: column for name, column in place.items() if column is not None}
    if not any(name in found for name in (labels if one_hot else sites)):
        raise BadStudy(f"{path}: the mapping leaves no column with a score: expected at least one")
    for explained, name in (("views", "view"), ("splits", "split"), ("visits", "visit")):
        if getattr(mapping, explained) and name not in found:
            raise BadStudy(
                f"{path}: no column {clip(mapping.column(name) or name)}, whose cells the mapping's {explained} "
                f"explains: say in columns.{name} what the table calls it, or leave {explained} out"
            )
    return found


def _parse_row(
    row: int, cell: Mapping[str, str], mapping: LabelMapping, instrument: Instrument, one_hot: bool
) -> LabelRow:
    for name in ("patient", "visit"):
        # Two spellings of a patient that look alike would be two patients.
        if any(unicodedata.category(character) == "Cc" for character in cell.get(name, "")):
            raise _RowFault(
                FaultKind.MALFORMED_ROW, f"{name} '{one_line(cell[name])}' has control characters: expected plain text"
            )
    if not cell["image"]:
        raise _RowFault(FaultKind.IMAGE_MISSING, "no image is named: expected a file of the folder")
    patient = cell.get("patient")
    if patient == "":
        raise _RowFault(FaultKind.PATIENT_MISSING, "no patient is named: expected what tells this patient from others")
    split = None
    if "split" in cell:
        split = mapping.split_of(cell["split"])
        if split is None:
            raise _RowFault(FaultKind.UNKNOWN_SPLIT, f"split {clip(cell['split'])}: expected develop or test")
    view, scores = _parse_one_hot(cell, instrument) if one_hot else _parse_scores(cell, mapping, instrument)
    return LabelRow(row, cell["image"], patient, cell.get("visit") or None, split, view, scores)


def _parse_scores(
    cell: Mapping[str, str], mapping: LabelMapping, instrument: Instrument
) -> tuple[str, dict[str, int | None]]:
    view = mapping.view_of(cell["view"], instrument.views) if "view" in cell else instrument.views[0]
    if view is None:
        raise _RowFault(
            FaultKind.UNKNOWN_VIEW,
            f"view {clip(cell['view'])}: expected {' or '.join(instrument.views)}, or a word that the mapping's views "
            "explains",
        )
    scores = {
        site.name: _parse_score(site, cell[site.name], mapping, instrument) if site.name in cell else None
        for site in instrument.sites
    }
    try:
        instrument.check_scores(view, scores)
    except ValueError as error:
        raise _RowFault(FaultKind.LABEL_OUT_OF_RANGE, str(error)) from None
    return view, scores


def _parse_score(site: Site, text: str, mapping: LabelMapping, instrument: Instrument) -> int | None:
    if mapping.is_unscored(text):
        return None
    for score in site.scores:
        # Spreadsheets write whole numbers as 3.0 once a column has had a blank cell.
        if text in (f"{score}", f"{score}.0"):
            return score
    expected, or_blank = describe_scores(site.scores), " or blank" if instrument.unscored else ""
    raise _RowFault(FaultKind.LABEL_OUT_OF_RANGE, f"{site.name} is {clip(text)}: expected {expected}{or_blank}")


def _parse_one_hot(cell: Mapping[str, str], instrument: Instrument) -> tuple[str, dict[str, int | None]]:
    values = []
    for label in instrument.labels:
        # A label that the mapping says the table does not have is nobody's.
        text = cell.get(label, "0")
        if text not in ("0", "1", "0.0", "1.0"):
            raise _RowFault(FaultKind.LABEL_OUT_OF_RANGE, f"{label} is {clip(text)}: expected 0 or 1")
        values.append(int(text[0]))
    if instrument.view_labels and sum(values[: len(instrument.view_labels)]) != 1:
        raise _RowFault(FaultKind.UNKNOWN_VIEW, f"{' and '.join(instrument.view_labels)}: expected one of them to be 1")
    try:
        return instrument.decode(values)
    except ValueError as error:
        raise _RowFault(FaultKind.LABEL_OUT_OF_RANGE, str(error)) from None
