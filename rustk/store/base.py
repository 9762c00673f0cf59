"""What every store can do."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Entry:
    """One key of a listing. `modified` is timezone-aware."""

    key: str
    size_bytes: int
    modified: datetime


@runtime_checkable
class Store(Protocol):
    """Whole objects under slash-separated keys. Every method may raise StoreFailed (exit code 75)."""

    url: str

    def read(self, key: str) -> bytes:
        """The object's bytes. Raises KeyMissing."""

    def write(self, key: str, data: bytes) -> None:
        """Write an object, replacing any under this key. A reader sees the old bytes or the new, never a part."""

    def write_new(self, key: str, data: bytes) -> bool:
        """Write an object unless its key is taken; False, and nothing written, if it is.

        After a lost answer a retry may find its own object and return False: compare contents where that matters.
        """

    def check_writable(self) -> None:
        """Raise StoreFailed where nothing can be written; leave nothing behind. For before minutes of work."""

    def exists(self, key: str) -> bool:
        """Whether an object stands under exactly this key."""

    def list(self, prefix: str) -> list[Entry]:
        """All objects whose key begins with `prefix`, sorted by key."""

    def folders(self, prefix: str) -> tuple[str, ...]:
        """The names of the folders directly below `prefix`, which is "" or ends in /, sorted: one request for a
        thousand of them, however many objects they hold. In a directory a folder may be empty."""

    def delete(self, key: str) -> None:
        """Remove an object; absent is fine."""
