"""The radiographs of one visit, from files and folders: prepared as a dataset's were, with the views that are known.

A visit has a few images. A folder of hundreds is more than one visit, and a total over them would mean nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rustk.datasets.decoding import NotAnImage, UnreadableImage, read_radiograph
from rustk.datasets.faults import Fault
from rustk.datasets.imaging import Preparation, prepare
from rustk.datasets.label_columns import RowFault, check_row, image_of, locate_columns, view_of_row
from rustk.datasets.label_table import read_csv
from rustk.datasets.mapping import LabelMapping
from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.instrument import Instrument

MOST_IMAGES = 40
# How the files end that `rustk predict --explain` writes.
HEAT_MAPS = "-heat-maps.png"


@dataclass(frozen=True)
class VisitImages:
    """pixels: uint8 [images, size, size], in the order of `paths`. passed_over: files of folders that are no images."""

    paths: tuple[Path, ...]
    pixels: npt.NDArray[np.uint8]
    passed_over: tuple[Path, ...]


def read_visit(given: Sequence[Path], size: int, method: Preparation) -> VisitImages:
    """Read the images of a visit: each file that is given, and those of each folder, sorted, in any folders below it.

    Raises BadStudy for a path that is not there, a folder without images and too many images, and BadData for a file
    that is no radiograph, or the same as another.
    """
    files = _find(given)
    paths: list[Path] = []
    pixels: list[npt.NDArray[np.uint8]] = []
    passed_over: list[Path] = []
    for path, was_given in files.items():
        try:
            prepared = prepare(read_radiograph(path).pixels, size, method)
        except NotAnImage as error:
            # Viewers and exports leave files of their own beside the images.
            if was_given:
                raise _refused(path, error) from None
            passed_over.append(path)
            continue
        except UnreadableImage as error:
            raise _refused(path, error) from None
        for other, same in zip(paths, pixels, strict=True):
            if np.array_equal(same, prepared):
                raise BadData(f"{path}: the same image as {other}: give each image once")
        paths.append(path)
        pixels.append(prepared)
    if not paths:
        folders = ", ".join(str(path) for path in given)
        raise BadStudy(f"{folders}: no images there: expected DICOM, PNG or JPEG files of one visit")
    return VisitImages(tuple(paths), np.stack(pixels), tuple(passed_over))


def views_from_table(
    table: Path, mapping: LabelMapping, instrument: Instrument, paths: Sequence[Path]
) -> tuple[str, ...]:
    """The view of each image by a table that says it, as `rustk dataset build` reads one; scores need not stand there.

    A row is an image's whose path ends as the row's image does. Of a mapping, what it says of scores and splits is
    passed over. Raises BadStudy for a table without these columns, and BadData for a row that can't be any image's, an
    image without a row or with several, a word that means no view, and images of several visits.
    """
    header, records = read_csv(table)
    wanted = {"image": True, "view": len(instrument.views) > 1, "patient": False, "visit": False}
    place = locate_columns(table, header, mapping, wanted, explained=("view", "visit"))
    rows = {}
    for number, cells in enumerate(records, start=2):
        if any(cells):
            with _row(table, number, image_of(cells, place)):
                rows[number] = check_row(cells, header, place)
    views, visits = [], set()
    for path in paths:
        number = _row_of(table, rows, path)
        with _row(table, number, rows[number]["image"]):
            views.append(view_of_row(rows[number], mapping, instrument))
        visits.add((rows[number].get("patient"), rows[number].get("visit")))
    if len(visits) > 1:
        raise BadData(f"{table}: the images are of {len(visits)} patients or visits: expected those of one visit")
    return tuple(views)


@contextmanager
def _row(table: Path, number: int, image: str) -> Iterator[None]:
    """Raises BadData for a fault of this row, where a build would list it."""
    try:
        yield
    except RowFault as fault:
        raise BadData(Fault(number, fault.kind, image, str(fault)).line(str(table))) from None


def _find(given: Sequence[Path]) -> dict[Path, bool]:
    """Each file once, in order, with whether it was given itself."""
    found: dict[Path, bool] = {}
    seen: dict[Path, Path] = {}
    for path in given:
        folder = _is_folder(path)
        inside = sorted(p for p in path.rglob("*") if _is_shown(p, path)) if folder else [path]
        if not inside:
            raise BadStudy(f"{path}: an empty folder: expected DICOM, PNG or JPEG files of one visit")
        for one in inside:
            resolved = one.resolve()
            if resolved in seen:
                raise BadData(f"{one}: the same file as {seen[resolved]}: give each image once")
            seen[resolved] = one
            found[one] = not folder
    if len(found) > MOST_IMAGES:
        raise BadStudy(
            f"{', '.join(map(str, given[:3]))}{', ...' if len(given) > 3 else ''}: {len(found)} files: expected the "
            f"images of one visit, at most {MOST_IMAGES}"
        )
    return found


def _refused(path: Path, error: UnreadableImage) -> BadData:
    # Most reasons say themselves what was expected instead.
    expected = "" if ": expected " in str(error) else ": expected a radiograph as DICOM, PNG or JPEG"
    return BadData(f"{path}: {error}{expected}")


def _is_folder(path: Path) -> bool:
    try:
        if path.is_dir():
            return True
        why = "" if path.is_file() else "not a file" if path.exists() else "no such file or folder"
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        why = getattr(error, "strerror", None) or str(error)
    if why:
        raise BadStudy(f"{path}: {why}: expected a radiograph as DICOM, PNG or JPEG, or a folder of a visit's")
    return False


def _is_shown(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    # Heat maps that were written into a folder within are no radiographs.
    return path.is_file() and not hidden and not path.name.endswith(HEAT_MAPS)


def _row_of(table: Path, rows: Mapping[int, Mapping[str, str]], path: Path) -> int:
    parts = path.resolve().parts
    found = []
    for number, cell in rows.items():
        named = Path(cell["image"].replace("\\", "/")).parts
        if named and parts[-len(named) :] == named:
            found.append(number)
    if len(found) == 1:
        return found[0]
    if not found:
        raise BadData(f"{table}: no row for {path}: expected one whose image is that file")
    raise BadData(f"{table}: rows {', '.join(map(str, found[:5]))} all name {path}: expected one")
