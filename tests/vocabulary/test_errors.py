import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.vocabulary.errors import (
    FINAL_EXIT_CODES,
    BackendFailed,
    BadData,
    BadStudy,
    KeyMissing,
    RustkError,
    StoreFailed,
    one_line,
)


@given(st.text(st.characters(), max_size=300) | st.text("\n\r\t\x1b\0\u2028\ud800a ", max_size=300))
def test_a_message_is_one_printable_line(text: str) -> None:
    shown = str(RustkError(text))
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1


def test_a_long_message_keeps_both_ends() -> None:
    shown = one_line("a" * 10**7 + "z", 50)
    assert len(shown) == 50
    assert shown.startswith("aaa")
    assert shown.endswith("az")


@pytest.mark.parametrize(
    ("error", "code"), [(BadData, 65), (BadStudy, 78), (StoreFailed, 75), (BackendFailed, 1), (RustkError, 1)]
)
def test_exit_codes_are_the_contract_with_the_job(error: type[RustkError], code: int) -> None:
    assert error("x").exit_code == code
    assert error("x", exit_code=3).exit_code == 3
    assert (code in FINAL_EXIT_CODES) == (code in (65, 78))


def test_a_missing_key_is_named() -> None:
    error = KeyMissing("a/b", "s3://c")
    assert str(error) == "a/b is not in the store s3://c"
    assert (error.key, error.exit_code) == ("a/b", 65)


def test_errors_cross_processes() -> None:
    assert str(pickle.loads(pickle.dumps(BadData("x")))) == "x"
