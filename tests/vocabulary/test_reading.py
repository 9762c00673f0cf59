import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.reading import parse_json, parse_toml, parse_yaml, read_text

# Powers of ten: nine aliases of nine aliases...
BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))


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


def test_json_of_any_document_comes_back() -> None:
    value = {"a": [1, 2.5, None, True, {"b": "é"}]}
    assert parse_json(json.dumps(value), "x.json") == value
