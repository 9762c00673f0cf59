import pytest


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that hangs, as scripts tell some to, is not waited for."""
    monkeypatch.setattr("rustk.backends.local.worker._STOP_SECONDS", 0.3)
