"""The store as the live page has it: nothing can be written, and nothing is listed twice in one look."""

from typing import NoReturn

from rustk.store.base import Entry, Store
from rustk.vocabulary.errors import StoreFailed


class ReadOnlyStore:
    """A store that refuses to be written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.url = store.url

    def read(self, key: str) -> bytes:
        return self._store.read(key)

    def exists(self, key: str) -> bool:
        return self._store.exists(key)

    def list(self, prefix: str) -> list[Entry]:
        return self._store.list(prefix)

    def folders(self, prefix: str) -> tuple[str, ...]:
        return self._store.folders(prefix)

    def write(self, key: str, data: bytes) -> NoReturn:
        self._refuse(key)

    def write_new(self, key: str, data: bytes) -> NoReturn:
        self._refuse(key)

    def check_writable(self) -> NoReturn:
        self._refuse("anything")

    def delete(self, key: str) -> NoReturn:
        self._refuse(key)

    def _refuse(self, key: str) -> NoReturn:
        raise StoreFailed(f"the live page does not write to the store {self.url}, and was asked to change {key}")


class OneLook(ReadOnlyStore):
    """Remembers its listings until `again`: whoever needs one in the same look gets the same answer, at no cost."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._listed: dict[str, list[Entry]] = {}

    def again(self) -> None:
        """Forget what was listed: from here on, another look."""
        self._listed = {}

    def list(self, prefix: str) -> list[Entry]:
        if prefix not in self._listed:
            self._listed[prefix] = super().list(prefix)
        return self._listed[prefix]
