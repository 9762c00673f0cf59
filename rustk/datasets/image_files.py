"""Which file of a folder of images each row of a table names, and what is likely meant by a row that names none."""

import difflib
import os
from pathlib import Path

from rustk.datasets.faults import Fault, FaultKind
from rustk.datasets.label_table import LabelTable
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadStudy

_MOST_GUESSES = 50


def check_folder(folder: Path) -> None:
    """Raise BadStudy for what is no folder."""
    try:
        if folder.is_dir():
            return
        why = "is a file, not a folder" if folder.exists() else "no such folder"
    except OSError as error:
        why = error.strerror or str(error)
    raise BadStudy(f"{folder}: {why}: expected a folder with DICOM, PNG or JPEG files")


def find_files(folder: Path, table: LabelTable, faults: list[Fault]) -> tuple[dict[int, str], int]:
    """The file of each row, as a path below the folder, and how many files no row names. Adds faults for missing
    ones.
    """
    there = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )
    known = set(there)
    spelt = {path.casefold(): path for path in there}
    files = {}
    for row, image in table.images.items():
        if not image:
            continue
        path = os.path.normpath(image if image in known else image.replace("\\", "/"))
        if path in known:
            files[row] = path
        elif Path(path).is_absolute() or path.startswith(".."):
            faults.append(Fault(row, FaultKind.IMAGE_MISSING, image, f"not below {folder}: expected a path from there"))
        elif os.path.lexists(folder / path):  # a folder, a pipe, a link that leads nowhere
            faults.append(Fault(row, FaultKind.IMAGE_MISSING, image, f"is not a file, though it is in {folder}"))
        elif path.casefold() in spelt:
            message = f"no such file in {folder}; {_suggested(spelt[path.casefold()])}"
            faults.append(Fault(row, FaultKind.IMAGE_MISSING, image, message))
        else:
            # To look for the nearest of thousands of names takes its time: enough rows get a guess.
            near = difflib.get_close_matches(path, there, n=1, cutoff=0.8) if len(faults) < _MOST_GUESSES else []
            hint = f"; {_suggested(near[0])}" if near else ""
            faults.append(Fault(row, FaultKind.IMAGE_MISSING, image, f"no such file in {folder}{hint}"))
    return files, len(known - set(files.values()))


def _suggested(name: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in name):  # how Python reads bytes that are no UTF-8
        return f"there is a file {clip(name)}, whose name no table can hold: give it a name in UTF-8"
    return f"did you mean {name}?"
