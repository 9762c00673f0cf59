"""Tables of labels: both forms, any delimiter, and a fault with its row for whatever can't be a label."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.datasets.faults import FaultKind
from rustk.datasets.label_table import LabelTable, read_label_table
from rustk.datasets.mapping import LabelMapping
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.instrument import Instrument
from tests.instruments import MRUST, ODD, SINGLE

CORTICES, LABELS, VIEWS = MRUST.site_names, MRUST.labels, MRUST.views
HEADER = ("image", "patient", "view", *CORTICES)


def read(
    text: str | bytes, tmp_path: Path, mapping: LabelMapping | None = None, instrument: Instrument = MRUST
) -> LabelTable:
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_label_table(path, mapping or LabelMapping(), instrument)


def table(*rows: tuple[str, ...], header: tuple[str, ...] = HEADER, delimiter: str = ",") -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows([header, *rows])
    return buffer.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_rows_are_read_whatever_stands_between_cells(delimiter: str, mark: str, tmp_path: Path) -> None:
    rows = ("a.png", "7", "AP", "1", "4.0", "", ""), ("b.png", "7", "lateral", "", "", "2", "")
    found = read(mark + table(*rows, delimiter=delimiter), tmp_path)
    assert not found.faults
    first, second = found.rows
    assert (first.row, first.image, first.patient, first.view) == (2, "a.png", "7", "ap")
    assert first.scores == {"medial": 1, "lateral": 4, "anterior": None, "posterior": None}
    assert second.scores == {"medial": None, "lateral": None, "anterior": 2, "posterior": None}
    assert not found.has_split


def test_rows_count_as_a_spreadsheet_counts_them(tmp_path: Path) -> None:
    text = table(
        ("a\nb.png", "1", "ap", "1", "1", "", ""), ("", "", "", "", "", "", ""), ("c.png", "1", "no", "", "", "", "")
    )
    found = read(text, tmp_path)
    assert [row.row for row in found.rows] == [2]
    assert [fault.row for fault in found.faults] == [4]
    assert found.row_count == 2


@given(
    rows=st.lists(
        st.tuples(st.sampled_from(VIEWS), *(st.sampled_from([None, 1, 2, 3, 4]) for _ in CORTICES)),
        min_size=1,
        max_size=5,
    )
)
def test_the_one_hot_table_means_the_same_as_the_scores(
    rows: list[tuple[str, int | None, int | None, int | None, int | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    labels = [(view, dict(zip(CORTICES, scores, strict=True))) for view, *scores in rows]
    plain = table(
        *((f"{n}.png", "1", view, *(str(scores[c] or "") for c in CORTICES)) for n, (view, scores) in enumerate(labels))
    )
    one_hot = table(
        *((f"{n}.png", "1", *map(str, MRUST.encode(view, scores))) for n, (view, scores) in enumerate(labels)),
        header=("image", "patient", *LABELS),
    )
    expected, found = read(plain, folder), read(one_hot, folder)
    assert expected.rows == found.rows
    assert not found.faults
    assert [(row.view, row.scores) for row in found.rows] == labels


GOOD = ("a.png", "1", "ap", "1", "2", "", "")


@pytest.mark.parametrize(
    ("row", "kind", "said"),
    [
        (("a.png", "1", "ap", "5", "", "", ""), FaultKind.LABEL_OUT_OF_RANGE, "medial is '5': expected 1 to 4 or"),
        (("a.png", "1", "ap", "", "0", "", ""), FaultKind.LABEL_OUT_OF_RANGE, "lateral is '0'"),
        (("a.png", "1", "ap", "2.5", "", "", ""), FaultKind.LABEL_OUT_OF_RANGE, "medial is '2.5'"),
        (("a.png", "1", "ap", "", "", "nan", ""), FaultKind.LABEL_OUT_OF_RANGE, "anterior is 'nan'"),
        (("a.png", "1", "oblique", "", "", "", ""), FaultKind.UNKNOWN_VIEW, "view 'oblique': expected ap or lateral"),
        (("a.png", "1", "", "", "", "", ""), FaultKind.UNKNOWN_VIEW, "view ''"),
        (("a.png", "", "ap", "", "", "", ""), FaultKind.PATIENT_MISSING, "no patient is named"),
        (("", "1", "ap", "", "", "", ""), FaultKind.IMAGE_MISSING, "no image is named"),
        (("a.png", "1", "ap"), FaultKind.MALFORMED_ROW, "3 cells: expected 7"),
        ((*GOOD, "surplus"), FaultKind.MALFORMED_ROW, "8 cells: expected 7"),
    ],
)  # fmt: skip
def test_a_row_that_is_no_label_is_a_fault_with_its_number(
    row: tuple[str, ...], kind: FaultKind, said: str, tmp_path: Path
) -> None:
    found = read(table(GOOD, row), tmp_path)
    assert len(found.rows) == 1
    (fault,) = found.faults
    assert (fault.row, fault.kind) == (3, kind)
    assert said in fault.line("labels.csv")
    assert fault.line("labels.csv").startswith("labels.csv row 3: ")
    assert fault.record() == {"row": 3, "reason": kind.value}


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"view_lateral": "1"}, FaultKind.UNKNOWN_VIEW, "expected one of them to be 1"),
        ({"view_ap": "0"}, FaultKind.UNKNOWN_VIEW, "expected one of them to be 1"),
        ({"medial_2": "1"}, FaultKind.LABEL_OUT_OF_RANGE, "medial has 2 scores (1 and 2)"),
        ({"medial_2": "2"}, FaultKind.LABEL_OUT_OF_RANGE, "medial_2 is '2': expected 0 or 1"),
        ({"medial_2": ""}, FaultKind.LABEL_OUT_OF_RANGE, "medial_2 is ''"),
    ],
)
def test_a_one_hot_row_that_no_image_can_have_is_a_fault(
    changes: dict[str, str], kind: FaultKind, said: str, tmp_path: Path
) -> None:
    cells = dict(zip(LABELS, map(str, MRUST.encode("ap", {"medial": 1})), strict=True)) | changes
    found = read(table(("a.png", "1", *cells.values()), header=("image", "patient", *LABELS)), tmp_path)
    (fault,) = found.faults
    assert fault.kind == kind
    assert said in fault.message


def test_a_split_column_is_read_and_checked(tmp_path: Path) -> None:
    rows = [(*GOOD, "train"), (*GOOD, "test"), (*GOOD, "")]
    mapping = LabelMapping(splits={"develop": ("train",)})
    found = read(table(*rows, header=(*HEADER, "split")), tmp_path, mapping)
    assert found.has_split
    assert [row.split for row in found.rows] == ["develop", "test"]
    assert [(fault.row, fault.kind) for fault in found.faults] == [(4, FaultKind.UNKNOWN_SPLIT)]


def test_patients_may_be_said_to_be_unknown(tmp_path: Path) -> None:
    header = ("image", "view", *CORTICES)
    with pytest.raises(BadStudy, match="no column 'patient'"):
        read(table(("a.png", "ap", "1", "", "", ""), header=header), tmp_path)
    mapping = LabelMapping(columns={"patient": None})
    (row,) = read(table(("a.png", "ap", "1", "", "", ""), header=header), tmp_path, mapping).rows
    assert row.patient is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no header"),
        ("\n\n", "no header"),
        (table(), "no rows after the header"),
        (table(("", "", "", "", "", "", "")), "no rows after the header"),
        (
            table(GOOD, header=("file", *HEADER[1:])),
            "no column 'image'; its first line, .*, has file, patient",
        ),
        (table(GOOD[:-1], header=HEADER[:-1]), "no column 'posterior'"),
        (table((*GOOD, "ap"), header=(*HEADER, "view")), "the column 'view' appears 2 times"),
        (b"image,patient\n\xe9,1\n", "byte 14 is not UTF-8"),
        ('image,patient\na,1\n"a,1\n', r"labels\.csv row 3: not CSV: a quotation mark is opened and not closed"),
        (
            "image|patient|view\na|1|ap\n",
            r"the first line is the single cell 'image\|patient\|view'",
        ),
        (b"PK\x03\x04\x14\x00\x06\x00\xe9", "is an Excel workbook or another archive: save it as CSV in UTF-8"),
        ("image,patient\n" + "x" * 200_000 + ",1\n", "row 2: not CSV: a cell has more than 131,072 characters"),
        ("image\0,patient\n", "has NUL bytes"),
        ("i,\x1b[31m" + ",c" * 5000 + "\n", "no column 'image'; its first line, which must name the columns, has i, "),
        (
            table(("a", "1", "ap", *["0"] * 18, *["1"] * 4), header=("image", "patient", "view", *LABELS, *CORTICES)),
            "both a view column and the one-hot table",
        ),
        (
            table(("a", "1", *["0"] * 17), header=("image", "patient", *LABELS[:-1])),
            f"no column '{LABELS[-1]}'",
        ),
    ],
)
def test_what_is_no_table_of_labels_is_named(text: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadStudy, match=said) as caught:
        read(text, tmp_path)
    assert "labels.csv" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_a_column_that_the_mapping_names_must_be_there(tmp_path: Path) -> None:
    mapping = LabelMapping(columns={"visit": "when"})
    with pytest.raises(BadStudy, match=r"no column 'when' \(the mapping's columns.visit\)"):
        read(table(GOOD), tmp_path, mapping)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"medial": "anterior"},
            "'anterior' means both medial and anterior: .* change columns.medial of .* in columns.anterior what",
        ),
        (
            {"posterior": "medial"},
            "'medial' means both medial and posterior: .* columns.posterior of .* in columns.medial what",
        ),
        ({"patient": "view"}, "the column 'view' means both patient and view"),
        ({"patient": "image"}, "the column 'image' means both image and patient"),
        ({"visit": "patient"}, "the column 'patient' means both patient and visit"),
        ({"split": "view"}, "the column 'view' means both split and view"),
    ],
)
def test_two_of_rustks_names_are_never_read_from_one_column(
    columns: dict[str, str | None], said: str, tmp_path: Path
) -> None:
    """Two sites would have the same scores, and no line of the answer would show it."""
    with pytest.raises(BadStudy, match=said):
        read(table(GOOD), tmp_path, LabelMapping(columns=columns))
    # A table whose columns are called the other way round is read.
    swapped = LabelMapping(columns={"medial": "lateral", "lateral": "medial"})
    (row,) = read(table(("a.png", "1", "ap", "1", "2", "", "")), tmp_path, swapped).rows
    assert (row.scores["medial"], row.scores["lateral"]) == (2, 1)


@pytest.mark.parametrize("explained", ["splits", "visits"])
def test_a_mapping_of_cells_that_the_table_does_not_have_is_refused(explained: str, tmp_path: Path) -> None:
    mapping = LabelMapping.model_validate({explained: {"test" if explained == "splits" else "baseline": "1"}})
    said = rf"no column '{explained[:-1]}', whose cells the mapping's {explained} explains: say in columns"
    with pytest.raises(BadStudy, match=said):
        read(table(GOOD), tmp_path, mapping)


@given(text=st.text(max_size=300))
def test_any_text_is_read_or_refused_in_one_line(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    said = ""
    try:
        read("image,patient,view,medial,lateral,anterior,posterior\n" + text, tmp_path_factory.mktemp("any"))
    except BadStudy as error:
        said = str(error)
    assert "\n" not in said


def test_a_table_that_is_no_file_of_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadStudy, match=r"[Ii]s a directory: expected a table of labels"):
        read_label_table(tmp_path, LabelMapping(), MRUST)
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(BadStudy, match="100,000,000 bytes: expected a table of labels"):
        read_label_table(large, LabelMapping(), MRUST)
    with pytest.raises(BadStudy, match="is in UTF-16: save it as CSV in UTF-8"):
        read("image,patient\n".encode("utf-16"), tmp_path)


def test_control_characters_of_cells_are_shown_escaped(tmp_path: Path) -> None:
    bad = ("a\x1b[31m\r\nb.png", "1", "a\nb\x07", "", "", "", "")
    (fault,) = read(table(bad), tmp_path).faults
    line = fault.line("labels.csv")
    assert line.isprintable()
    assert r"a\x1b[31m b.png: view 'a\nb\x07': expected ap or lateral" in line


@pytest.mark.parametrize("patient", ["\x1b[2Jp3", "p\n3", "p3\x07", "p3\u200b", "p\u00a03", "p\u00ad3", "\ufeffp3"])
def test_a_patient_s_name_with_characters_that_can_t_be_seen_is_a_fault(patient: str, tmp_path: Path) -> None:
    """Written without them it would be another patient, on both sides of a fold."""
    (fault,) = read(table(("a.png", patient, "ap", "1", "2", "", "")), tmp_path).faults
    assert fault.kind is FaultKind.MALFORMED_ROW
    assert "has characters that can't be seen: expected letters, digits, signs and plain spaces" in fault.message


def test_a_site_that_the_mapping_says_is_not_there_is_unscored(tmp_path: Path) -> None:
    mapping = LabelMapping(columns={"posterior": None, "anterior": None})
    (row,) = read(table(("a.png", "1", "ap", "1", "2"), header=HEADER[:5]), tmp_path, mapping).rows
    assert row.scores == {"medial": 1, "lateral": 2, "anterior": None, "posterior": None}
    nothing = LabelMapping(columns=dict.fromkeys(CORTICES))
    with pytest.raises(BadStudy, match="leaves no column with a score"):
        read(table(("a.png", "1", "ap"), header=HEADER[:3]), tmp_path, nothing)


def test_a_label_that_the_mapping_says_is_not_there_is_nobodys(tmp_path: Path) -> None:
    there = [label for label in LABELS if label != "medial_4"]
    cells = dict(zip(LABELS, map(str, MRUST.encode("ap", {"medial": 1})), strict=True))
    text = table(("a.png", "1", *(cells[label] for label in there)), header=("image", "patient", *there))
    (row,) = read(text, tmp_path, LabelMapping(columns={"medial_4": None})).rows
    assert (row.view, row.scores["medial"]) == ("ap", 1)


def test_scores_of_any_scale_are_read(tmp_path: Path) -> None:
    header = ("image", "patient", "view", *ODD.site_names)
    rows = [("1", "p", "a", "0", "5.0", ""), ("2", "p", "C", "", "3", "0"), ("3", "p", "b", "", "", "")]
    found = read(table(*rows, header=header), tmp_path, instrument=ODD)
    assert [row.scores for row in found.rows] == [
        {"rim": 0, "core": 5, "seam": None},
        {"rim": None, "core": 3, "seam": 0},
        {"rim": None, "core": None, "seam": None},
    ]
    bad = [("1", "p", "a", "0", "4", ""), ("2", "p", "c", "1", "", ""), ("3", "p", "d", "", "", "")]
    faults = read(table(*bad, header=header), tmp_path, instrument=ODD).faults
    assert [fault.message for fault in faults] == [
        "core is '4': expected 1, 2, 3 or 5 or blank",
        "rim score 1: the view c does not show it: expected nothing",
        "view 'd': expected a or b or c, or a word that the mapping's views explains",
    ]


def test_one_view_needs_no_view_column_and_an_instrument_may_want_every_score(tmp_path: Path) -> None:
    text = "image,patient,grade\na.png,1,0\nb.png,1,\nc.png,2,5\n"
    found = read(text, tmp_path, instrument=SINGLE)
    assert [(row.view, row.scores) for row in found.rows] == [("frontal", {"grade": 0})]
    assert [(fault.row, fault.message) for fault in found.faults] == [
        (3, "grade has no score: expected 0 to 4"),
        (4, "grade is '5': expected 0 to 4"),
    ]
    with_view = "image,patient,view,grade\na.png,1,Frontal,1\nb.png,1,side,1\n"
    found = read(with_view, tmp_path, instrument=SINGLE)
    assert [row.row for row in found.rows] == [2]
    assert [fault.kind for fault in found.faults] == [FaultKind.UNKNOWN_VIEW]


@pytest.mark.parametrize("instrument", [ODD, SINGLE])
def test_any_instruments_one_hot_table_is_read(instrument: Instrument, tmp_path: Path) -> None:
    view = instrument.views[-1]
    shown = {site.name: site.scores[1] for site in instrument.sites if instrument.shows(view, site.name)}
    labels = instrument.encode(view, shown)
    text = table(("a.png", "1", *map(str, labels)), header=("image", "patient", *instrument.labels))
    (row,) = read(text, tmp_path, instrument=instrument).rows
    assert row.view == view
    assert {site: score for site, score in row.scores.items() if score is not None} == shown


def test_both_forms_of_one_view_are_one_too_many(tmp_path: Path) -> None:
    text = table(("a", "1", "0", *"10000"), header=("image", "patient", "grade", *SINGLE.labels))
    with pytest.raises(BadStudy, match="both a column for each site and the one-hot table of 5 columns"):
        read(text, tmp_path, instrument=SINGLE)
