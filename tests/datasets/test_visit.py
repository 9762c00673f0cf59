"""The images of a visit: files, folders, views by a table, and whatever is wrong with them in one line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rustk.datasets.imaging import Preparation
from rustk.datasets.mapping import LabelMapping
from rustk.datasets.visit import MOST_IMAGES, VisitImages, read_visit, views_from_table
from rustk.vocabulary.errors import BadData, BadStudy
from tests.instruments import MRUST, SINGLE


def picture(path: Path, seed: int, shape: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8)).save(path)
    return path


def read(*paths: Path) -> VisitImages:
    return read_visit(paths, 24, Preparation.STRETCH)


def test_files_and_folders_of_any_size_become_one_stack(tmp_path: Path) -> None:
    single = picture(tmp_path / "single.png", 0, (90, 30))
    folder = tmp_path / "visit"
    inside = [picture(folder / "b.jpg", 1), picture(folder / "series" / "a.png", 2, (64, 64))]
    (folder / "notes.txt").write_text("no image, as exports leave them")
    (folder / ".hidden.png").write_text("no image either")
    # Of an earlier predict --explain: scored again, it would count in the visit.
    picture(folder / "maps" / "01-b-heat-maps.png", 3)
    found = read(single, folder)
    assert found.paths == (single, *inside)
    assert found.pixels.shape == (3, 24, 24)
    assert found.passed_over == (folder / "notes.txt",)


def test_what_is_no_visit_is_refused_in_one_line(tmp_path: Path) -> None:
    one = picture(tmp_path / "one.png", 0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadStudy, match="empty: an empty folder: expected DICOM"):
        read(tmp_path / "empty")
    with pytest.raises(BadStudy, match=r"nowhere\.png: no such file or folder: expected a radiograph"):
        read(tmp_path / "nowhere.png")
    with pytest.raises(BadStudy, match="expected a radiograph"):
        read(Path("a\0b.png"))
    with pytest.raises(BadData, match=r"one\.png: the same file as .*one\.png: give each image once"):
        read(one, tmp_path / "empty" / ".." / "one.png")
    (tmp_path / "copy.png").write_bytes(one.read_bytes())
    with pytest.raises(BadData, match=r"copy\.png: the same image as .*one\.png"):
        read(one, tmp_path / "copy.png")
    notes = tmp_path / "texts" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("no picture")
    with pytest.raises(BadData, match=r"notes\.txt: neither DICOM nor PNG nor JPEG: expected a radiograph"):
        read(notes)
    with pytest.raises(BadStudy, match="texts: no images there"):
        read(notes.parent)
    # What is an image and damaged is not passed over, wherever it lies.
    (notes.parent / "cut.png").write_bytes(one.read_bytes()[:60])
    with pytest.raises(BadData, match=r"cut\.png: damaged"):
        read(notes.parent)
    moving = tmp_path / "moving.png"
    Image.new("L", (40, 40)).save(moving, save_all=True, append_images=[Image.new("L", (40, 40), 9)])
    with pytest.raises(BadData, match=r"moving\.png: has 2 frames: expected a single image$"):
        read(moving)
    many = tmp_path / "many"
    many.mkdir()
    for number in range(MOST_IMAGES + 1):
        (many / f"{number}.png").write_bytes(b"")
    with pytest.raises(BadStudy, match=f"many: {MOST_IMAGES + 1} files: expected the images of one visit, at most"):
        read(many)


def test_a_table_tells_the_views(tmp_path: Path) -> None:
    paths = [picture(tmp_path / name, seed) for seed, name in enumerate(("a.png", "sub/b.png"))]
    table = tmp_path / "labels.csv"
    mapping = LabelMapping(columns={"image": "file", "view": "proj"}, views={"lateral": ("side",)})

    def views(text: str) -> tuple[str, ...]:
        table.write_text(text)
        return views_from_table(table, mapping, MRUST, paths)

    assert views("file,proj,patient\na.png,AP,1\nsub/b.png,Side,1\nc.png,nonsense,2\n") == ("ap", "lateral")
    assert views("file;proj\nb.png;ap\na.png;lateral\n") == ("lateral", "ap")
    for text, message in {
        "file,view\na.png,ap\n": r"labels\.csv: no column 'proj' \(the mapping's columns.view\); its first line",
        "image,proj\na.png,ap\n": r"no column 'file' \(the mapping's columns.image\)",
        "file,proj,proj\na.png,ap,ap\n": r"the column 'proj' appears 2 times: expected once",
        "file,proj\na.png,ap\n": r"labels\.csv: no row for .*b\.png",
        "file,proj\na.png,ap\nb.png\n": r"labels\.csv row 3: b\.png: 1 cell: expected 2, as many as the header has",
        "file,proj\na.png,ap\nb.png,ap,ap\n": r"row 3: b\.png: 3 cells: expected 2",
        "file,proj,patient\na.png,ap,1\nb.png,ap\n": r"row 3: b\.png: 2 cells: expected 3",
        "file,proj,patient\na.png,ap,p\u200b\nb.png,ap,p\n": r"row 2: a\.png: patient .* characters that can't be seen",
        "file,proj\na.png,ap\nb.png,oblique\n": r"row 3: b\.png: view 'oblique': expected ap or lateral",
        "file,proj\na.png,ap\nb.png,ap\nsub/b.png,side\n": r"rows 3, 4 all name .*b\.png",
        "file,proj,patient\na.png,ap,\nb.png,side,\n": r"row 2: a\.png: no patient is named",
        "file,proj,visit\na.png,ap,1\nb.png,side,2\n": r"the images are of 2 patients or visits",
    }.items():
        with pytest.raises((BadData, BadStudy), match=message):
            views(text)
    for given, message in (
        (LabelMapping(columns={"image": "file", "view": "proj", "visit": "when"}), "no column 'when'"),
        (LabelMapping(columns={"image": "file", "view": "proj", "patient": "proj"}), "means both view and patient"),
        (LabelMapping(columns={"image": "file", "view": "proj"}, visits={"x": ("1",)}), "no column 'visit', whose"),
    ):
        table.write_text("file,proj\na.png,ap\nb.png,lateral\n")
        with pytest.raises(BadStudy, match=message):
            views_from_table(table, given, MRUST, paths)
    # What a mapping says of scores and splits is for the table that a dataset is built of.
    scored = LabelMapping(columns={"image": "file", "view": "proj", "medial": "M"}, splits={"test": ("t",)})
    assert views_from_table(table, scored, MRUST, paths) == ("ap", "lateral")
    table.write_text("file\na.png\nb.png\n")
    assert views_from_table(table, LabelMapping(columns={"image": "file"}), SINGLE, paths) == SINGLE.views * 2
