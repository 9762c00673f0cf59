"""A store with a run that grows, and the live page of it."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from rustk.backends import open_backend
from rustk.store import Store, open_store
from rustk.ui.hub import Hub
from rustk.ui.server import make_app
from rustk.vocabulary.settings import load_settings
from tests.ui.growing import Growing


class Watched:
    """A directory store that counts what is asked of it, and notes what would change it."""

    def __init__(self, root: Path) -> None:
        self._store = open_store(str(root))
        self.url = self._store.url
        self.listed: Counter[str] = Counter()
        self.read_keys: Counter[str] = Counter()
        self.changed: list[str] = []

    def list(self, prefix: str) -> Any:
        self.listed[prefix] += 1
        return self._store.list(prefix)

    def read(self, key: str) -> bytes:
        self.read_keys[key] += 1
        return self._store.read(key)

    def exists(self, key: str) -> bool:
        return self._store.exists(key)

    def folders(self, prefix: str) -> tuple[str, ...]:
        return self._store.folders(prefix)

    def write(self, key: str, data: bytes) -> None:
        self.changed.append(key)

    def write_new(self, key: str, data: bytes) -> bool:
        self.changed.append(key)
        return True

    def delete(self, key: str) -> None:
        self.changed.append(key)


def eventually(found: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What `found` gives once that is true; it fails where that takes so long."""
    until = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)
    return value


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def grown(store: Store) -> Growing:
    return Growing(store)


@pytest.fixture
def seen(store: Store) -> Watched:
    """The store as the page has it."""
    return Watched(Path(store.url))


@pytest.fixture
def hub(seen: Watched) -> Iterator[Hub]:
    opened = Hub(seen, open_backend(load_settings({"store": seen.url}), seen), seconds=0.1, idle_seconds=5.0)
    yield opened
    opened.close()


@pytest.fixture
def client(hub: Hub) -> Iterator[TestClient]:
    with TestClient(make_app(hub), base_url="http://localhost:8470") as opened:
        yield opened
