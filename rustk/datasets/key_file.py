"""The key of a build: which sample came from which file. It undoes the pseudonyms, and stays on this machine."""

import csv
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rustk.datasets.building import BuildSample
from rustk.store.outside import check_outside
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.user_paths import what_is_there


def check_key_file(path: Path, store_url: str) -> None:
    """Raise BadStudy where the key would lie in the store, over something else, or where no file can be."""
    check_outside(path, store_url, "--key-file")
    if not os.access(path.parent, os.W_OK) and path.parent.is_dir():
        raise BadStudy(f"--key-file {path}: the folder {path.parent} can't be written to: choose another place")
    if what_is_there(path):
        raise _already_there(path)
    if not path.parent.is_dir():
        raise BadStudy(f"--key-file {path}: there is no folder {path.parent}")


@contextmanager
def key_file_beside(path: Path | None, samples: Iterable[BuildSample]) -> Iterator[None]:
    """The key of what is written within: sample_id, the file's name as the table has it, and its row.

    It is written first, readable by this user only, and is gone again where the rest fails: there is no dataset whose
    key was wanted and lost. Nothing for `path` None. Raises BadStudy where it can't be written.
    """
    if path is None:
        yield
        return
    try:
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", newline="", encoding="utf-8"
        ) as file:
            writer = csv.writer(file)
            writer.writerow(["sample_id", "image", "row"])
            writer.writerows([sample.sample_id, sample.image, sample.row] for sample in samples)
    except FileExistsError:
        raise _already_there(path) from None
    except OSError as error:
        _remove(path)
        raise BadStudy(
            f"--key-file {path}: {error.strerror or error}: expected a place for a file (nothing was written)"
        ) from None
    try:
        yield
    except BaseException:
        _remove(path)
        raise


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _already_there(path: Path) -> BadStudy:
    return BadStudy(f"--key-file {path}: is already there: move it away, or choose another place")
