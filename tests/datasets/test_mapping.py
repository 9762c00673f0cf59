"""The mapping file: what a table calls things, and clear words for what can't be one."""

from pathlib import Path

import pytest

from rustk.datasets.mapping import LabelMapping, read_mapping
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.instrument import Instrument
from tests.instruments import MRUST, ODD, SINGLE


def read(text: str, tmp_path: Path, instrument: Instrument = MRUST) -> LabelMapping:
    path = tmp_path / "mapping.yaml"
    path.write_text(text, encoding="utf-8")
    return read_mapping(path, instrument)


def test_words_of_the_table_mean_rustks(tmp_path: Path) -> None:
    mapping = read(
        "columns: {image: file, patient: null}\nviews: {ap: [AP, Frontal, 1], lateral: LAT}\n"
        "splits: {develop: [train, val], test: holdout}\nvisits: {baseline: [0, pre-op]}\nunscored: [NA, x]\n",
        tmp_path,
    )
    assert mapping.column("image") == "file"
    assert mapping.column("view") == "view"
    assert mapping.lacks("patient")
    cells = ("ap", "frontal", " 1 ", "lat", "Lateral", "oblique", "")
    assert [mapping.view_of(cell, MRUST.views) for cell in cells] == [
        "ap", "ap", "ap", "lateral", "lateral", None, None
    ]  # fmt: skip
    assert [mapping.split_of(cell) for cell in ("train", "TEST", "holdout", "")] == ["develop", "test", "test", None]
    assert mapping.named_visit("PRE-OP") == "baseline"
    assert mapping.named_visit("baseline") is None
    assert [mapping.is_unscored(cell) for cell in ("", "na", "X", "0")] == [True, True, True, False]


def test_an_empty_mapping_is_none(tmp_path: Path) -> None:
    assert read("", tmp_path) == LabelMapping()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colums: {image: file}", "there is no field colums; did you mean columns?"),
        ("columns: {imge: file}", "columns.imge: no such field; did you mean image?"),
        ("columns: {medial_5: x}", "columns.medial_5: no such field; did you mean medial_"),
        ("views: {oblique: [x]}", "views.oblique: no such field; expected one of ap, lateral"),
        ("views: {ap: [x], lateral: [X]}", "views: the cell 'X' means both ap and lateral"),
        ("unscored: [true]", "in quotes"),
        ("unscored: ['2']", "unscored: '2' is a score of mrust: expected words that are none"),
        ("views: {ap: {a: b}}", "views.ap: {'a': 'b'}: expected a word"),
        ("columns: [a, b]", "columns .*expected a section"),
        ("- a", "expected an object with the fields columns, views"),
        ("a: [", "not YAML"),
        ("columns: {image: null}", "columns.image = null: every row must name its image"),
        ("columns: {view: null}", "columns.view = null: every row must tell its view, ap or lateral"),
        ("columns: {image: ''}", "columns.image = '': expected the name of a column, or null"),
        ("columns: {medial: a, lateral: a}", "the column 'a' means both medial and lateral"),
        ("columns: {image: a, image: b}", "line 1: 'image' appears twice"),
        ("columns: {image: [a]}", r"columns.image = \['a'\]"),
        ("columns: {1: a}", "columns: the name 1: expected text, in quotes where YAML takes it for another value"),
        ("columns: {null: a}", "columns: the name null: expected text"),
        ("null: a", "mapping.yaml: the name null: expected text"),
        ("columns: {patient: a, visit: a}", "columns: the column 'a' means both patient and visit"),
        ("columns: {image: a, view: ' a'}", "columns: the column ' a' means both image and view"),
        ("unscored: {a: b}", "unscored: {'a': 'b'}: expected a word or a list of words"),
        ("unscored: [1.0]", "unscored: '1.0' is a score of mrust: expected words that are none"),
        ("visits: {'': [x]}", "visits: '': expected a name that can be stored and shown"),
        ('visits: {"a\\nb": [x]}', r"visits: 'a\\nb': expected a name that can be stored and shown"),
        ("visits: {" + "x" * 101 + ": [x]}", "at most 100 characters"),
        ("x: " + "[" * 2000 + "]" * 2000, "levels deep|too deeply"),
        ("views: {ap: .nan, lateral: nan}", "means both ap and lateral"),
        ("splits: {train: [x]}", "splits.train: no such field; expected one of develop, test"),
        ("columns: {'a\x1b[31m': b}", "no such field|is a control character"),
        ("a: &a [*a]", "not YAML|mapping.yaml"),
        ("a: !!python/object:os.system x", "expected a plain value|not YAML"),
        ("visits: {x: 1" + "0" * 5000 + "}", "thousands of digits|4,300 digits"),
        ("--- a\n--- b", "not YAML"),
    ],
)
def test_what_can_t_be_a_mapping_is_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadStudy, match=said) as caught:
        read(text, tmp_path)
    assert "mapping.yaml" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_mapping_that_can_t_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadStudy, match=r"[Nn]o such file"):
        read_mapping(tmp_path / "absent.yaml", MRUST)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadStudy, match="byte 0 is not UTF-8: expected a mapping"):
        read_mapping(tmp_path / "binary.yaml", MRUST)


def test_every_section_may_be_empty(tmp_path: Path) -> None:
    text = "columns:\n  # image: file\nviews:\nsplits: null\nvisits: ~\nunscored:\n"
    assert read(text, tmp_path).columns == {}


def test_null_says_that_the_table_lacks_a_column(tmp_path: Path) -> None:
    mapping = read("columns: {visit: null, split: null, posterior: null, medial: M}", tmp_path)
    assert [mapping.lacks(name) for name in ("visit", "split", "posterior", "medial", "patient")] == [
        True, True, True, False, False
    ]  # fmt: skip
    # One view needs no column; where nothing may stay unscored a site does.
    assert read("columns: {view: null}", tmp_path, SINGLE).lacks("view")
    with pytest.raises(BadStudy, match=r"columns\.grade = null: kellgren-lawrence leaves no joint unscored"):
        read("columns: {grade: null}", tmp_path, SINGLE)


def test_names_are_those_of_the_instrument(tmp_path: Path) -> None:
    mapping = read("columns: {rim: Rand, core_5: five}\nviews: {c: [three]}", tmp_path, ODD)
    assert mapping.column("core_5") == "five"
    assert mapping.view_of("THREE", ODD.views) == "c"
    with pytest.raises(BadStudy, match=r"columns.medial: no such field"):
        read("columns: {medial: x}", tmp_path, ODD)
