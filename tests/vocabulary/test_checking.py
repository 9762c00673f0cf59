from typing import Literal

import pytest
from pydantic import Field

from rustk.vocabulary.checking import Strict, clip, did_you_mean, validated
from rustk.vocabulary.errors import BadData, BadStudy


class Inner(Strict):
    width: int = Field(1, ge=1)
    kind: Literal["one", "two"] | tuple[str, ...] = "one"


class Outer(Strict):
    name: str
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (None, "s: null: expected an object with the fields name, inner, many"),
        ([], r"s: []: expected an object"),
        ({}, "s: name: missing"),
        ({"name": 5}, "s: name = 5: expected text"),
        ({"nmae": "x", "name": "x"}, "s: there is no field nmae; did you mean name?"),
        ({"name": "x", "inner": {"wdith": 1}}, "s: there is no field inner.wdith; did you mean width?"),
        ({"name": "x", "inner": {"zzz": 1}}, "there is no field inner.zzz; expected one of width, kind"),
        ({"name": "x", "width": 1}, "there is no field width; did you mean inner.width or many.width?"),
        ({"name": "x", "inner": {"many": 1}}, "there is no field inner.many; expected one of width, kind"),
        ({"name": "x", "many": [{"width": 1}, {"wdith": 2}]}, "no field many.1.wdith; did you mean width?"),
        ({"name": "x", "inner": 3}, "s: inner = 3: "),
        ({"name": "x", "inner": {"width": 0}}, "s: inner.width = 0: expected at least 1"),
        ({"name": "x", "inner": {"kind": 10**5000}}, "s: inner.kind = a number of thousands of digits: "),
        ({"name": "x", "inner": {"kind": 5}}, "s: inner.kind = 5: "),
        ({"name": "x", 5: 6}, "s: the name 5: expected text, in quotes where YAML takes it for another value"),
        ({"name": "x\n\x1b[31m" * 50, "inner": 3}, "s: inner = 3: "),
    ],
)
def test_a_fault_names_source_field_value_and_what_was_expected(fields: object, message: str) -> None:
    with pytest.raises(BadData) as caught:
        validated(Outer, fields, "s", BadData)
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_part_of_a_document_is_named_with_its_section() -> None:
    with pytest.raises(BadStudy, match=r"s: inner\.width = 0: "):
        validated(Inner, {"width": 0}, "s", at="inner")
    with pytest.raises(BadStudy, match=r"there is no field inner\.wdith; did you mean width"):
        validated(Inner, {"wdith": 0}, "s", at="inner")


def test_values_are_shown_on_one_short_line() -> None:
    assert clip("a\nb\x1b") == r"'a\nb\x1b'"
    assert len(clip("x" * 10**7)) == 80
    assert clip("x" * 1000).startswith("'xxx")
    assert clip("x" * 1000).endswith("xxx'")
    assert clip(10**5000) == "a number of thousands of digits"
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    assert clip(deep) == "a deeply nested value"


def test_near_misses_are_suggested() -> None:
    assert did_you_mean("regime3", ["regime1", "final"]) == "did you mean regime1?"
    assert did_you_mean("zzz", ["regime1", "final"]) == "expected one of regime1, final"
    assert did_you_mean(5, []) == "there are none"
