from pathlib import Path

import pytest

from rustk.cli.output_folder import check_folder, write_files
from rustk.vocabulary.errors import BadStudy

FILES = {"methods.md": b"a", "tables/metrics.csv": b"b"}


def test_files_are_written_whole(tmp_path: Path) -> None:
    check_folder(tmp_path / "out", "s3://store")
    write_files(FILES, tmp_path / "out")
    write_files(FILES, tmp_path / "out")
    assert (tmp_path / "out/tables/metrics.csv").read_bytes() == b"b"
    assert len(list((tmp_path / "out").rglob("*"))) == 3


def test_a_folder_in_the_store_is_refused(tmp_path: Path) -> None:
    check_folder(tmp_path / "beside", str(tmp_path / "store"))
    for name in ("store", "store/runs/x", "beside/../store"):
        with pytest.raises(BadStudy, match=r"^FOLDER .*: lies in the store .*: choose another place"):
            check_folder(tmp_path / name, str(tmp_path / "store"), "FOLDER")


@pytest.mark.parametrize(
    ("folder", "file", "message"),
    [
        ("tables/metrics.csv", None, r"--output .*: tables/metrics\.csv is a folder there: move it, or choose another"),
        (None, "tables", r"--output .*: tables is a file there: move it, or choose another folder"),
    ],
)
def test_what_is_in_the_way_is_told_before_anything_is_written(
    tmp_path: Path, folder: str | None, file: str | None, message: str
) -> None:
    if folder:
        (tmp_path / folder).mkdir(parents=True)
    if file:
        (tmp_path / file).write_text("")
    with pytest.raises(BadStudy, match=message):
        write_files(FILES, tmp_path)
    assert not (tmp_path / "methods.md").exists()
