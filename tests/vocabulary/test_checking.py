import json
import math
import os
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import Field

from rustk.vocabulary.checking import (
    Strict,
    clip,
    did_you_mean,
    parse_json,
    parse_toml,
    parse_yaml,
    read_text,
    user_path,
    validated,
)
from rustk.vocabulary.errors import BadData, BadStudy

# Powers of ten: nine aliases of nine aliases...
BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))


class Inner(Strict):
    width: int = Field(1, ge=1)
    kind: Literal["one", "two"] | tuple[str, ...] = "one"


class Outer(Strict):
    name: str
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-3", 1e-3),
        ("1.", 1.0),
        ("-.5", -0.5),
        (".inf", math.inf),
        ("010", 10),
        ("0o17", 15),
        ("0x1f", 31),
        ("+5", 5),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("off", "off"),
        ("yes", "yes"),
        ("true", True),
        ("2025-01-31", "2025-01-31"),
        ("~", None),
        ("", None),
        ("'1'", "1"),
    ],
)
def test_plain_values_are_those_of_yaml_1_2(text: str, expected: object) -> None:
    value = parse_yaml(text, "x.yaml")
    assert value == expected
    assert type(value) is type(expected)


def test_merged_mappings_may_be_overridden() -> None:
    assert parse_yaml("a: &x {b: 1}\nc: {<<: *x, b: 2}", "x.yaml")["c"] == {"b": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "x.yaml, line 1: not YAML"),
        ("a: 1\nb: 2\na: 3", "x.yaml, line 3: 'a' appears twice: expected it once"),
        ("b: {a: 1, a: 1}", "'a' appears twice"),
        ("'a': 1\na: 3", "'a' appears twice"),
        ("a: \0", "x.yaml: not YAML: character 4 is a control character"),
        ("a: \ud800", "x.yaml: not YAML: character 4 is a control character"),
        ("a: 1\n---\nb: 2", "x.yaml, line 2: not YAML"),
        ("[" * 100_000, "x.yaml: nested too deeply: expected at most 60 levels"),
        ("[" * 2000 + "]" * 2000, "nested too deeply"),
        ("[" * 70 + "]" * 70, "nested too deeply"),
        ("&a [*a]", "nested too deeply"),
        (BOMB, "more than 1,000,000 values"),
        ("a: " + "9" * 5000, "a number of thousands of digits"),
        ("a: 0x" + "f" * 9000, "a number of thousands of digits"),
        ("a: !!binary aGk=", "line 1: tag 'tag:yaml.org,2002:binary': expected a plain value"),
        ("a: !!set {b, c}", "expected a plain value"),
        ("a: !!python/object/apply:os.system [x]", "expected a plain value"),
        ("a: !mine 5", "tag '!mine': expected a plain value"),
        ("!!bool maybe", "not YAML"),
        ("!!int ''", "not YAML"),
        ("!!float x", "not YAML"),
        ("[<<]", "not YAML"),
        ('a: 1\ntitle: "a\\e[31mb"', r"line 2: 'a\x1b[31mb': expected text without control characters"),
        ('"\\ud800": 1', r"line 1: '\ud800': expected text without control characters"),
        ("{[a]: 1}", "line 1: a list or a section in place of a name: expected a plain word"),
        ("*nowhere", "line 1: not YAML: found undefined alias"),
    ],
)
def test_nonsense_in_yaml_is_one_line(text: str, message: str) -> None:
    with pytest.raises(BadStudy) as caught:
        parse_yaml(text, "x.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@given(st.text(max_size=60) | st.text("[]{}:,!&*#|>-?'\"%@ \n\tab01<x.", max_size=30))
@example("!!map {? !!seq [] : 1}")
def test_any_text_is_yaml_or_refused(text: str) -> None:
    shown = "x.yaml"
    try:
        parse_yaml(text, "x.yaml", BadData)
    except BadData as error:
        shown = str(error)
    assert shown.startswith("x.yaml")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x.json: not JSON"),
        (b"{", "x.json: not JSON"),
        (b"\xff\xfe\x00", "x.json: not JSON"),
        (b"NaN", "x.json: not JSON: NaN: expected a finite number or null"),
        (b"[-Infinity]", "not JSON: -Infinity: expected"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 100 + b"]" * 100, "nested too deeply"),
        (b"9" * 5000, "a number of thousands of digits"),
    ],
)
def test_nonsense_in_json_is_one_line(data: bytes, message: str) -> None:
    with pytest.raises(BadData) as caught:
        parse_json(data, "x.json")
    assert message in str(caught.value)


@given(st.binary(max_size=40))
def test_any_bytes_are_json_or_refused(data: bytes) -> None:
    shown = "x.json"
    try:
        parse_json(data, "x.json")
    except BadData as error:
        shown = str(error)
    assert shown.startswith("x.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = ", "x.toml, line 1: not TOML: invalid value, in 'a ='"),
        (
            "b = 1\na = 1 2",
            "x.toml, line 2: not TOML: expected newline or end of document after a statement, in 'a = 1 2'",
        ),
        (
            "a = 1\na = 2",
            "x.toml, line 2: 'a = 2' sets what the file has set before: expected each key and section once",
        ),
        ("a = 1\na = 2\n\n[b]\n", "x.toml, line 2: 'a = 2' sets what the file has set before"),
        ("[a]\n[b]\n[a]\nc = 1\n", "x.toml, line 3: '[a]' sets what the file has set before"),
        ("a = {b = 1, b = 2}", "x.toml, line 1: 'a = {b = 1, b = 2}' sets what the file has set before"),
        ("a = " + "[" * 3000 + "]" * 3000, "nested too deeply"),
        (".".join("a" * 3000) + " = 1", "nested too deeply"),
        ("a = " + "9" * 5000, "a number of thousands of digits"),
        ("a = 0x" + "f" * 9000, "a number of thousands of digits"),
    ],
)
def test_nonsense_in_toml_is_one_line(text: str, message: str) -> None:
    with pytest.raises(BadStudy) as caught:
        parse_toml(text, "x.toml")
    assert message in str(caught.value)


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


def test_a_file_is_read_without_its_mark(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes("\ufeffé".encode())
    assert read_text(tmp_path / "x", "a text") == "é"


@pytest.mark.timeout(10)  # a pipe that nobody writes to would be waited for
def test_what_is_no_text_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin-1").write_bytes("é".encode("latin-1"))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(10**10)
    for name, why in {
        "latin-1": "byte 0 is not UTF-8",
        "loop": "too many levels of symbolic links",
        "pipe": "not a regular file",
        "huge": "10,000,000,000 bytes",
        "absent": "no such file or directory",
        "latin-1/below": "not a directory",
        "x" * 5000: "file name too long",
        "a\0b": "embedded null byte",
        ".": "is a directory",
    }.items():
        with pytest.raises(BadStudy) as caught:
            read_text(tmp_path / name, "a text")
        assert f"{why}: expected a text" in str(caught.value), name
        assert str(caught.value).isprintable()
    with pytest.raises(BadData, match="not a regular file: expected a text"):
        read_text(Path("/dev/zero"), "a text", BadData)


def test_homes_are_expanded() -> None:
    assert user_path("~/x", "a file") == Path.home() / "x"
    with pytest.raises(BadStudy, match=r"'~nobody-of-this-name/x': .*: expected a file"):
        user_path("~nobody-of-this-name/x", "a file")


def test_json_of_any_document_comes_back() -> None:
    value = {"a": [1, 2.5, None, True, {"b": "é"}]}
    assert parse_json(json.dumps(value), "x.json") == value
