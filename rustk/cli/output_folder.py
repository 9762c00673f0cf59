"""A folder of the user's that a command writes into: checked before any work, and written to at its end."""

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from rustk.vocabulary.errors import BadStudy, StoreFailed

# Of a file or folder, on the file systems in use.
_LONGEST_NAME = 255


def check_folder(output: Path, store_url: str, option: str = "--output") -> None:
    """Raise BadStudy unless files can be written there, outside the store; nothing is made.

    option: as the command calls the folder.
    """
    from rustk.store.outside import check_outside

    there = output.absolute()
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in there.parts):
        from rustk.vocabulary.checking import clip

        raise BadStudy(f"{option} {clip(str(output))}: expected names of at most {_LONGEST_NAME} bytes")
    check_outside(output, store_url, option)
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    what = f"{option} {output}"
    if not there.is_dir():
        raise BadStudy(f"{what}: {there} is not a folder: expected a folder to write into")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise BadStudy(f"{what}: can't write into {there}: {error.strerror or error}: choose another folder") from None


def check_files(files: Iterable[str], output: Path, option: str = "--output") -> None:
    """Raise BadStudy where something that lies in the folder is in the way of one of these files."""
    for file in files:
        path = output / file
        if path.is_dir():
            raise BadStudy(f"{option} {output}: {file} is a folder there: move it, or choose another folder")
        for folder in path.parents[: len(Path(file).parents) - 1]:
            if os.path.lexists(folder) and not folder.is_dir():
                name = folder.relative_to(output)
                raise BadStudy(f"{option} {output}: {name} is a file there: move it, or choose another folder")
        there = next(folder for folder in path.absolute().parents if folder.is_dir())
        if not os.access(there, os.W_OK | os.X_OK):
            raise BadStudy(f"{option} {output}: can't write into {there}: allow it, or choose another folder")


def write_files(files: Mapping[str, bytes], output: Path) -> None:
    """Write each file, by its path below the folder: whole or not at all.

    Raises BadStudy as `check_files` does, before anything is written, and StoreFailed.
    """
    from rustk.store.directory import written_aside

    check_files(files, output)
    for path, data in files.items():
        try:
            with written_aside(output / path, data) as aside:
                aside.replace(output / path)
        except OSError as error:
            raise StoreFailed(
                f"could not write {output / path}: {error.strerror or error}: make room, or choose another folder"
            ) from None
