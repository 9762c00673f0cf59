"""Reads a table of labels: one row an image, scores as 1-4 or as the one-hot table of 18 columns."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rustk.datasets.faults import Fault, FaultKind
from rustk.datasets.mapping import LabelMapping
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.labels import CORTICES, LABELS, VIEW_LABELS, VIEWS, decode_label


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


def read_label_table(path: Path, mapping: LabelMapping) -> LabelTable:
    """Read a CSV file, comma, semicolon or tab between its cells. Rows with nothing in them are passed over.

    Raises BadStudy where it is no such table at all: unreadable, or without a column that is needed.
    """
    header, records = _read_csv(path)
    place = _locate_columns(path, header, mapping)
    one_hot = "view" not in place
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
            rows.append(_parse_row(number, cell, mapping, one_hot))
        except _RowFault as fault:
            faults.append(Fault(number, fault.kind, images[number], str(fault)))
    if not count:
        raise BadStudy(f"{path}: no rows after the header: expected one for every image")
    return LabelTable(tuple(rows), tuple(faults), images, "split" in place, count)


def _read_csv(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadStudy(f"{path}: {error.strerror}: expected a table of labels in CSV") from None
    except UnicodeDecodeError as error:
        raise BadStudy(f"{path}: byte {error.start} is not UTF-8: save the table as CSV in UTF-8") from None
    first_line = text.partition("\n")[0]
    delimiter = max(",;\t", key=first_line.count)
    try:
        records = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise BadStudy(f"{path}: not a CSV table: {error}") from None
    if not records or not any(cell.strip() for cell in records[0]):
        raise BadStudy(f"{path}: no header: expected a first line with the names of the columns")
    stripped = [[cell.strip() for cell in record] for record in records]
    return stripped[0], stripped[1:]


def _locate_columns(path: Path, header: list[str], mapping: LabelMapping) -> dict[str, int]:
    """Where each of rustk's columns stands. With scores it has view and cortices, with the one-hot table the 18
    labels.
    """

    def find(name: str, *, needed: bool) -> int | None:
        called = mapping.column(name)
        if called is None:
            return None
        if (found := header.count(called)) > 1:
            raise BadStudy(f"{path}: the column {called!r} stands there {found} times: expected once")
        if not found and (needed or name in mapping.columns):
            of = "" if called == name else f" (the mapping's columns.{name})"
            raise BadStudy(
                f"{path}: no column {called!r}{of}; it has {', '.join(header)}: "
                "say in a --mapping file what the table calls it"
            )
        return header.index(called) if found else None

    has_all_labels = all(mapping.column(label) in header for label in LABELS)
    has_view = mapping.column("view") in header
    if has_all_labels and has_view:
        raise BadStudy(
            f"{path}: has both a view column and the one-hot table of {len(LABELS)} columns: take one of them out"
        )
    one_hot = has_all_labels or any(name in LABELS for name in mapping.columns)
    place = {"image": find("image", needed=True), "patient": find("patient", needed=not mapping.patients_unknown)}
    place |= {name: find(name, needed=False) for name in ("visit", "split")}
    place |= {name: find(name, needed=True) for name in (LABELS if one_hot else ("view", *CORTICES))}
    return {name: column for name, column in place.items() if column is not None}


def _parse_row(row: int, cell: Mapping[str, str], mapping: LabelMapping, one_hot: bool) -> LabelRow:
    if not cell["image"]:
        raise _RowFault(FaultKind.IMAGE_MISSING, "no image is named: expected a file of the folder")
    patient = cell.get("patient")
    if patient == "":
        raise _RowFault(FaultKind.PATIENT_MISSING, "no patient is named: expected what tells this patient from others")
    split = None
    if "split" in cell:
        split = mapping.split_of(cell["split"])
        if split is None:
            raise _RowFault(FaultKind.UNKNOWN_SPLIT, f"split {cell['split']!r}: expected develop or test")
    view, scores = _parse_one_hot(cell) if one_hot else _parse_scores(cell, mapping)
    return LabelRow(row, cell["image"], patient, cell.get("visit") or None, split, view, scores)


def _parse_scores(cell: Mapping[str, str], mapping: LabelMapping) -> tuple[str, dict[str, int | None]]:
    view = mapping.view_of(cell["view"])
    if view is None:
        raise _RowFault(
            FaultKind.UNKNOWN_VIEW,
            f"view {cell['view']!r}: expected {' or '.join(VIEWS)}, or a word that the mapping's views explains",
        )
    return view, {cortex: _parse_score(cortex, cell[cortex], mapping) for cortex in CORTICES}


def _parse_score(cortex: str, text: str, mapping: LabelMapping) -> int | None:
    if mapping.is_unscored(text):
        return None
    # Spreadsheets write whole numbers as 3.0 once a column has had a blank cell.
    if text in ("1", "2", "3", "4", "1.0", "2.0", "3.0", "4.0"):
        return int(text[0])
    raise _RowFault(FaultKind.LABEL_OUT_OF_RANGE, f"{cortex} is {text!r}: expected 1, 2, 3, 4 or blank")


def _parse_one_hot(cell: Mapping[str, str]) -> tuple[str, dict[str, int | None]]:
    values = []
    for label in LABELS:
        if cell[label] not in ("0", "1", "0.0", "1.0"):
            raise _RowFault(FaultKind.LABEL_OUT_OF_RANGE, f"{label} is {cell[label]!r}: expected 0 or 1")
        values.append(int(cell[label][0]))
    if sum(values[: len(VIEW_LABELS)]) != 1:
        raise _RowFault(FaultKind.UNKNOWN_VIEW, f"{' and '.join(VIEW_LABELS)}: expected one of them to be 1")
    try:
        return decode_label(tuple(values))
    except ValueError as error:
        raise _RowFault(FaultKind.LABEL_OUT_OF_RANGE, str(error)) from None
