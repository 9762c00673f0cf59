"""A store that forgets: for tests of what is read from and written to any store."""

from datetime import UTC, datetime

from rustk.store.base import Entry
from rustk.vocabulary.errors import KeyMissing


class MemoryStore:
    """A `Store` whose objects lie in a dictionary."""

    url = "memory"

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, datetime]] = {}

    def read(self, key: str) -> bytes:
        if key not in self._objects:
            raise KeyMissing(key, self.url)
        return self._objects[key][0]

    def write(self, key: str, data: bytes) -> None:
        self._objects[key] = (data, datetime.now(UTC))

    def write_new(self, key: str, data: bytes) -> bool:
        if key in self._objects:
            return False
        self.write(key, data)
        return True

    def check_writable(self) -> None:
        pass

    def exists(self, key: str) -> bool:
        return key in self._objects

    def list(self, prefix: str) -> list[Entry]:
        return [
            Entry(key, len(data), modified)
            for key, (data, modified) in sorted(self._objects.items())
            if key.startswith(prefix)
        ]

    def folders(self, prefix: str) -> tuple[str, ...]:
        below = (key.removeprefix(prefix) for key in self._objects if key.startswith(prefix))
        return tuple(sorted({rest.partition("/")[0] for rest in below if "/" in rest}))

    def delete(self, key: str) -> None:
        self._objects.pop(key, None)
