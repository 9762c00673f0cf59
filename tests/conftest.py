import gc
from pathlib import Path

import hypothesis
import pytest

# The machines that run these are shared: a slow example says nothing. The same examples everywhere, every time.
hypothesis.settings.register_profile("rustk", deadline=None, derandomize=True)
hypothesis.settings.load_profile("rustk")
# As workers do: what is imported stays, and to look through it again and again takes a quarter of the time.
gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that need TensorFlow first: they are the slowest, and what is begun last must not be."""
    slow = {item.path for item in items if item.get_closest_marker("tensorflow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Set TensorFlow up as workers do, so that what a test trains in this process equals what a worker trains."""
    if any(item.get_closest_marker("tensorflow") for item in session.items):
        from rustk.training.requirement import load_tensorflow

        load_tensorflow()
        from rustk.training import device

        device.prepare()  # before the first operation, whichever test has it
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    """What was frozen is taken down as ever, or DuckDB says at the exit that it leaked."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or leaves anything in the user's state directory, or sees the user's settings."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
    for name in ("RUSTK_STORE", "RUSTK_DATASET", "RUSTK_BACKEND", "RUSTK_S3_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).parents[1]
