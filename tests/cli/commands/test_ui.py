import sys

import pytest

from rustk.vocabulary.errors import RustkError

from .conftest import Rustk


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_without_its_packages_it_says_how_to_get_them(
    rustk: Rustk, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("rustk.ui", f"{package}."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    error = rustk("ui").exception
    assert isinstance(error, RustkError)
    assert str(error).endswith("and the live page needs it: pip install 'rustk[ui]'")
    assert package in str(error)


def test_its_help_says_what_it_does(rustk: Rustk) -> None:
    said = rustk("ui", "--help").output
    for word in ("--host", "--port", "--backend", "--namespace", "--store", "change nothing"):
        assert word in said
