"""Reads a table of labels: one row an image, with a column of scores for each site or the one-hot table of labels."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rustk.datasets.faults import Fault, FaultKind
from rustk.datasets.label_columns import RowFault, check_row, image_of, locate_columns, view_of_row
from rustk.datasets.mapping import LabelMapping, spellings
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.instrument import Instrument, Site, describe_scores
from rustk.vocabulary.reading import decode_text, read_small

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
        images[number] = image_of(cells, place)
        try:
            rows.append(_parse_row(number, check_row(cells, header, place), mapping, instrument, one_hot))
        except RowFault as fault:
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
    labels, sites = instrument.labels, instrument.site_names
    several_views = len(instrument.views) > 1
    has_all_labels = all(mapping.column(label) in header for label in labels)
    has_scores = mapping.column("view") in header if several_views else all(mapping.column(s) in header for s in sites)
    if has_all_labels and has_scores:
        what = "a view column" if several_views else "a column for each site"
        raise BadStudy(f"{path}: has both {what} and the one-hot table of {len(labels)} columns: take one of them out")
    # Most of the labels and no scores: one of the labels is what is missing.
    mostly = not has_scores and 2 * sum(mapping.column(label) in header for label in labels) > len(labels)
    one_hot = has_all_labels or mostly or any(name in labels for name in mapping.columns)
    wanted = {"image": True, "patient": True, "visit": False, "split": False}
    wanted |= dict.fromkeys(labels, True) if one_hot else {"view": several_views, **dict.fromkeys(sites, True)}
    found = locate_columns(path, header, mapping, wanted)
    if not any(name in found for name in (labels if one_hot else sites)):
        raise BadStudy(f"{path}: the mapping leaves no column with a score: expected at least one")
    return found


def _parse_row(
    row: int, cell: Mapping[str, str], mapping: LabelMapping, instrument: Instrument, one_hot: bool
) -> LabelRow:
    split = None
    if "split" in cell:
        split = mapping.split_of(cell["split"])
        if split is None:
            raise RowFault(FaultKind.UNKNOWN_SPLIT, f"split {clip(cell['split'])}: expected develop or test")
    view, scores = _parse_one_hot(cell, instrument) if one_hot else _parse_scores(cell, mapping, instrument)
    return LabelRow(row, cell["image"], cell.get("patient"), cell.get("visit") or None, split, view, scores)


def _parse_scores(
    cell: Mapping[str, str], mapping: LabelMapping, instrument: Instrument
) -> tuple[str, dict[str, int | None]]:
    view = view_of_row(cell, mapping, instrument)
    scores = {
        site.name: _parse_score(site, cell[site.name], mapping, instrument) if site.name in cell else None
        for site in instrument.sites
    }
    try:
        instrument.check_scores(view, scores)
    except ValueError as error:
        raise RowFault(FaultKind.LABEL_OUT_OF_RANGE, str(error)) from None
    return view, scores


def _parse_score(site: Site, text: str, mapping: LabelMapping, instrument: Instrument) -> int | None:
    if mapping.is_unscored(text):
        return None
    for score in site.scores:
        if text in spellings(score):
            return score
    expected, or_blank = describe_scores(site.scores), " or blank" if instrument.unscored else ""
    raise RowFault(FaultKind.LABEL_OUT_OF_RANGE, f"{site.name} is {clip(text)}: expected {expected}{or_blank}")


def _parse_one_hot(cell: Mapping[str, str], instrument: Instrument) -> tuple[str, dict[str, int | None]]:
    values = []
    for label in instrument.labels:
        # A label that the mapping says the table does not have is nobody's.
        text = cell.get(label, "0")
        if text not in ("0", "1", "0.0", "1.0"):
            raise RowFault(FaultKind.LABEL_OUT_OF_RANGE, f"{label} is {clip(text)}: expected 0 or 1")
        values.append(int(text[0]))
    if instrument.view_labels and sum(values[: len(instrument.view_labels)]) != 1:
        raise RowFault(FaultKind.UNKNOWN_VIEW, f"{' and '.join(instrument.view_labels)}: expected one of them to be 1")
    try:
        return instrument.decode(values)
    except ValueError as error:
        raise RowFault(FaultKind.LABEL_OUT_OF_RANGE, str(error)) from None
