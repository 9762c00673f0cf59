"""A folder of the user's that a command writes into: checked before any work, and written to at its end."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rustk.vocabulary.errors import BadStudy, StoreFailed

# Of a file or folder, on the file systems in use.
_LONGEST_NAME = 255


def check_folder(output: Path, option: str = "--output") -> None:
    """Raise BadStudy unless files can be written there; nothing is made. option: as the command calls the folder."""
    there = output.absolute()
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in there.parts):
        from rustk.vocabulary.checking import clip

        raise BadStudy(f"{option} {clip(str(output))}: expected names of at most {_LONGEST_NAME} bytes")
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


def write_files(files: Mapping[str, bytes], output: Path) -> None:
    """Write each file, by its path below the folder: whole or not at all. Raises StoreFailed."""
    from rustk.store.directory import written_aside

    for path, data in files.items():
        try:
            with written_aside(output / path, data) as aside:
                aside.replace(output / path)
        except OSError as error:
            raise StoreFailed(f"could not write {output / path}: {error.strerror or error}") from None
