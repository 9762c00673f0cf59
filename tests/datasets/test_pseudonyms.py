"""Salts and pseudonyms: kept secret, the same for the same salt, and different for different things."""

import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.datasets.pseudonyms import default_salt_file, pseudonym, read_salt
from rustk.vocabulary.errors import BadStudy

SALT = b"0123456789abcdef"


@given(salt=st.binary(min_size=16, max_size=40), parts=st.lists(st.text(max_size=9), min_size=1, max_size=3))
def test_a_pseudonym_is_16_hex_digits_of_salt_kind_and_parts(salt: bytes, parts: list[str]) -> None:
    found = pseudonym(salt, "patient", *parts)
    assert re.fullmatch("[0-9a-f]{16}", found)
    assert found == pseudonym(salt, "patient", *parts)
    assert found != pseudonym(salt, "image", *parts)
    assert found != pseudonym(salt + b"x", "patient", *parts)
    assert found != pseudonym(salt, "patient", *parts, "")


def test_where_one_part_ends_counts() -> None:
    assert pseudonym(SALT, "visit", "1", "23") != pseudonym(SALT, "visit", "12", "3")


def test_the_users_salt_is_drawn_once_and_kept_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    first = read_salt(None)
    assert len(first) >= 32
    assert read_salt(None) == first
    assert stat.S_IMODE(default_salt_file().stat().st_mode) == 0o600
    assert [path.name for path in default_salt_file().parent.iterdir()] == ["patient-salt"]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "elsewhere"))
    assert read_salt(None) != first


def test_a_salt_of_ones_own_must_be_there_and_long_enough(tmp_path: Path) -> None:
    path = tmp_path / "salt"
    with pytest.raises(BadStudy, match=r"no such file.*openssl"):
        read_salt(path)
    assert not path.exists()
    path.write_text("short\n")
    with pytest.raises(BadStudy, match="5 bytes: expected a secret salt of at least 16"):
        read_salt(path)
    path.write_bytes(SALT + b"\n")
    assert read_salt(path) == SALT


def test_a_salt_is_a_small_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, why in ((tmp_path / "pipe", "not a regular file"), (Path("/dev/zero"), "not a regular file")):
        with pytest.raises(BadStudy, match=why):
            read_salt(path)
