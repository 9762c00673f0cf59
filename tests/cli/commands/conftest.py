"""A store on this machine, and the command."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rustk.cli.app import app
from rustk.store import Store, open_store

Rustk = Callable[..., Result]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUSTK_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def rustk(store: Store) -> Rustk:
    """Run a command within this process: its output, and what it raised."""

    def run(*arguments: str, **options: str) -> Result:
        return CliRunner().invoke(app, arguments, **options)  # type: ignore[arg-type]

    return run
