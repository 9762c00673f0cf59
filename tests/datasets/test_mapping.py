"""The mapping file: what a table calls things, and clear words for what can't be one."""

from pathlib import Path

import pytest

from rustk.datasets.mapping import LabelMapping, read_mapping
from rustk.vocabulary.errors import BadStudy


def read(text: str, tmp_path: Path) -> LabelMapping:
    path = tmp_path / "mapping.yaml"
    path.write_text(text, encoding="utf-8")
    return read_mapping(path)


def test_words_of_the_table_mean_rustks(tmp_path: Path) -> None:
    mapping = read(
        "columns: {image: file, patient: null}\nviews: {ap: [AP, Frontal, 1], lateral: LAT}\n"
        "splits: {develop: [train, val], test: holdout}\nvisits: {baseline: [0, pre-op]}\nunscored: [NA, x]\n",
        tmp_path,
    )
    assert mapping.column("image") == "file"
    assert mapping.column("view") == "view"
    assert mapping.patients_unknown
    assert [mapping.view_of(cell) for cell in ("ap", "frontal", " 1 ", "lat", "Lateral", "oblique", "")] == [
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
        ("colums: {image: file}", "colums: no such field; did you mean columns?"),
        ("columns: {imge: file}", "columns.imge: no such field; did you mean image?"),
        ("columns: {medial_5: x}", "columns.medial_5: no such field; did you mean medial_"),
        ("views: {oblique: [x]}", "views.oblique: no such field; expected one of ap, lateral"),
        ("views: {ap: [x], lateral: [X]}", "views: the cell 'X' means both ap and lateral"),
        ("unscored: [no]", "in quotes"),
        ("views: {ap: {a: b}}", "views.ap: .*expected a word"),
        ("columns: [a, b]", "columns: .*dictionary"),
        ("- a", "expected the fields columns, views"),
        ("a: [", "not YAML"),
    ],
)
def test_what_can_t_be_a_mapping_is_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadStudy, match=said) as caught:
        read(text, tmp_path)
    assert "mapping.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mapping_that_can_t_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadStudy, match="No such file"):
        read_mapping(tmp_path / "absent.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadStudy, match="not a text file"):
        read_mapping(tmp_path / "binary.yaml")
