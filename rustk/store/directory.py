"""The store in a directory of this machine (or of a shared file system with atomic rename)."""

import contextlib
import errno
import os
import secrets
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rustk.store.base import Entry
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadData, KeyMissing, StoreFailed, one_line

# Objects being written; a listing never shows them, and a crash leaves nothing worse than one of these.
_PARTIAL = ".rustk-partial-"


class DirectoryStore:
    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self.url = str(self._root)

    def read(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            leads_nowhere = self._path(key).is_symlink()
            raise KeyMissing(key, self.url, "a symbolic link to nowhere" if leads_nowhere else "") from None
        except IsADirectoryError:
            raise KeyMissing(key, self.url, "a folder") from None
        except OSError as error:
            if error.errno == errno.ELOOP:  # waiting will not mend it
                raise BadData(f"{key} is a symbolic link to itself in the store {self.url}: expected a file") from None
            raise self._failed("read", key, error) from error

    def write(self, key: str, data: bytes) -> None:
        with self._written_aside(key, data) as (aside, path):
            aside.replace(path)

    def write_new(self, key: str, data: bytes) -> bool:
        if self.exists(key):
            return False
        with self._written_aside(key, data) as (aside, path):
            try:
                # A hard link, unlike a rename, fails if the name is taken.
                path.hardlink_to(aside)
            except FileExistsError:
                return False
        return True

    def check_writable(self) -> None:
        # The directory is made with the first object: until then, it is the folder around it that must allow that.
        there = next(folder for folder in (self._root, *self._root.parents) if folder.exists())
        try:
            with tempfile.TemporaryFile(dir=there, prefix=_PARTIAL) as probe:
                probe.write(b"\0" * 4096)
        except OSError as error:
            raise StoreFailed(
                f"could not write to the store {self.url}: {error.strerror or error}: allow it or make room, or choose "
                "another place with --store"
            ) from error

    def exists(self, key: str) -> bool:
        try:
            return self._path(key).is_file()
        except OSError as error:
            raise self._failed("look for", key, error) from error

    def list(self, prefix: str) -> list[Entry]:
        # Only the deepest folder that the prefix names whole is walked.
        folder = self._root / prefix.rpartition("/")[0]
        return sorted(
            (entry for entry in self._walk(folder) if entry.key.startswith(prefix)), key=lambda entry: entry.key
        )

    def folders(self, prefix: str) -> tuple[str, ...]:
        try:
            return tuple(sorted(path.name for path in (self._root / prefix).iterdir() if path.is_dir()))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise self._failed("list", prefix, error) from error

    def delete(self, key: str) -> None:
        try:
            self._path(key).unlink(missing_ok=True)
        except NotADirectoryError:
            return
        except OSError as error:
            raise self._failed("delete", key, error) from error

    def _walk(self, folder: Path) -> Iterator[Entry]:
        def refuse(error: OSError) -> None:
            # What can't be read must not look as if it were not there; what is not there is empty.
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                raise error

        try:
            for parent, _, names in os.walk(folder, onerror=refuse):
                # A path object for each of ten thousand files would take longer than looking at them.
                below = parent[len(str(self._root)) :].strip(os.sep).replace(os.sep, "/")
                prefix = f"{below}/" if below else ""
                for name in names:
                    if name.startswith(_PARTIAL):
                        continue
                    # Another process may delete what it has finished with between the listing and this look.
                    with contextlib.suppress(FileNotFoundError):
                        stat = _stat(f"{parent}{os.sep}{name}")
                        modified = datetime.fromtimestamp(stat.st_mtime, UTC)
                        yield Entry(f"{prefix}{name}", stat.st_size, modified)
        except OSError as error:
            raise self._failed("list", str(folder), error) from error

    @contextlib.contextmanager
    def _written_aside(self, key: str, data: bytes) -> Iterator[tuple[Path, Path]]:
        path = self._path(key)
        try:
            with written_aside(path, data) as aside:
                yield aside, path
        except OSError as error:
            raise self._failed("write", key, error) from error

    def _path(self, key: str) -> Path:
        if not key or key.startswith("/") or ".." in key.split("/") or "\0" in key:
            raise BadData(f"{clip(key)} is no key of a store: expected a relative path without ..")
        return self._root / key

    def _failed(self, verb: str, key: str, error: OSError) -> StoreFailed:
        why = error.strerror or str(error)
        if isinstance(error, IsADirectoryError):
            why = "a folder lies in its place: move that elsewhere"
        elif isinstance(error, NotADirectoryError | FileExistsError):
            why = "a file lies in the place of a folder: move that elsewhere"
        return StoreFailed(f"could not {verb} {one_line(key, 200)} in the store {self.url}: {why}")


def _stat(path: str) -> os.stat_result:
    try:
        return os.stat(path)  # noqa: PTH116
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return os.lstat(path)  # a link to itself is there, and reading it says what is wrong


@contextlib.contextmanager
def written_aside(path: Path, data: bytes) -> Iterator[Path]:
    """A file beside `path` that has the data, to be put in its place: a file is there whole or not at all.

    It is gone afterwards. Raises OSError.
    """
    aside = path.with_name(f"{_PARTIAL}{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield aside
    finally:
        with contextlib.suppress(OSError):  # what went wrong above is what matters
            aside.unlink(missing_ok=True)
