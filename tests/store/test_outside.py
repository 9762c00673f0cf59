from pathlib import Path

import pytest

from rustk.store.outside import check_apart, check_outside
from rustk.vocabulary.errors import BadStudy


def test_what_lies_in_a_store_is_refused_by_whatever_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "link").symlink_to("store")
    monkeypatch.chdir(tmp_path)
    check_outside(Path("salt"), "store", "the salt")
    check_outside(Path("store/salt"), "s3://store", "the salt")
    for path in ("store", "store/a/salt", "link/salt", "x/../store/salt"):
        with pytest.raises(BadStudy, match=f"^the salt {path}: lies in the store store, which must not hold it"):
            check_outside(Path(path), "store", "the salt")


def test_what_lies_among_images_is_refused_by_whatever_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "link").symlink_to("images")
    monkeypatch.chdir(tmp_path)
    check_apart(Path("images-2"), Path("images"), "--work-dir")
    for path in ("images", "images/a/b", "link/b", "x/../images/b"):
        with pytest.raises(BadStudy, match=f"^--work-dir {path}: lies in the folder of the images: expected a place"):
            check_apart(Path(path), Path("images"), "--work-dir")
