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
from rustk.vocabulary.labels import CORTICES, LABELS, VIEWS, encode_label

HEADER = ("image", "patient", "view", *CORTICES)


def read(text: str | bytes, tmp_path: Path, mapping: LabelMapping | None = None) -> LabelTable:
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_label_table(path, mapping or LabelMapping())


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
        *((f"{n}.png", "1", *map(str, encode_label(view, scores))) for n, (view, scores) in enumerate(labels)),
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
        (("a.png", "1", "ap", "5", "", "", ""), FaultKind.LABEL_OUT_OF_RANGE, "medial is '5': expected 1, 2, 3, 4 or"),
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
        ({"medial_2": "1"}, FaultKind.LABEL_OUT_OF_RANGE, "medial has two scores"),
        ({"medial_2": "2"}, FaultKind.LABEL_OUT_OF_RANGE, "medial_2 is '2': expected 0 or 1"),
        ({"medial_2": ""}, FaultKind.LABEL_OUT_OF_RANGE, "medial_2 is ''"),
    ],
)
def test_a_one_hot_row_that_no_image_can_have_is_a_fault(
    changes: dict[str, str], kind: FaultKind, said: str, tmp_path: Path
) -> None:
    cells = dict(zip(LABELS, map(str, encode_label("ap", {"medial": 1})), strict=True)) | changes
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
        (table(GOOD, header=("file", *HEADER[1:])), "no column 'image'; it has file, patient"),
        (table(GOOD[:-1], header=HEADER[:-1]), "no column 'posterior'"),
        (table((*GOOD, "ap"), header=(*HEADER, "view")), "'view' stands there 2 times"),
        (b"image,patient\n\xe9,1\n", "byte 14 is not UTF-8"),
        ('image,patient\n"a,1\n', "not a CSV table"),
        (
            table(("a", "1", "ap", *["0"] * 18, *["1"] * 4), header=("image", "patient", "view", *LABELS, *CORTICES)),
            "both a view column and the one-hot table",
        ),
    ],
)
def test_what_is_no_table_of_labels_is_named(text: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadStudy, match=said) as caught:
        read(text, tmp_path)
    assert "labels.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_column_that_the_mapping_names_must_be_there(tmp_path: Path) -> None:
    mapping = LabelMapping(columns={"visit": "when"})
    with pytest.raises(BadStudy, match=r"no column 'when' \(the mapping's columns.visit\)"):
        read(table(GOOD), tmp_path, mapping)


@given(text=st.text(max_size=300))
def test_any_text_is_read_or_refused_in_one_line(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    said = ""
    try:
        read("image,patient,view,medial,lateral,anterior,posterior\n" + text, tmp_path_factory.mktemp("any"))
    except BadStudy as error:
        said = str(error)
    assert "\n" not in said
