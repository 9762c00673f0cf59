import os
from pathlib import Path

import pytest

from rustk.store import open_store
from rustk.vocabulary.errors import BadData, KeyMissing, StoreFailed


def test_a_failed_write_leaves_the_old_object_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(str(tmp_path))
    store.write("folder/key", b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreFailed, match=r"could not write folder/key .*No space left"):
        store.write("folder/key", b"new")
    assert store.read("folder/key") == b"old"
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["key"]


def test_what_a_crash_left_is_not_listed(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write("runs/a", b"x")
    (tmp_path / "runs" / ".rustk-partial-0123").write_bytes(b"half")
    assert [entry.key for entry in store.list("")] == ["runs/a"]


def test_a_file_in_the_way_is_one_line(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write("runs", b"x")
    with pytest.raises(StoreFailed, match=r"could not write runs/a in the store"):
        store.write("runs/a", b"y")
    assert not store.exists("runs/a")
    store.delete("runs/a")


def test_a_store_that_can_not_be_made_is_found_before_anything_is_written(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "not" / "yet"))
    store.check_writable()
    assert list(tmp_path.iterdir()) == []
    if Path("/proc/self").exists():  # where not even root can make a folder
        with pytest.raises(StoreFailed, match="could not write to the store /proc/rustk/store"):
            open_store("/proc/rustk/store").check_writable()


def test_a_folder_in_place_of_a_file_is_said(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    (tmp_path / "runs" / "a").mkdir(parents=True)
    with pytest.raises(StoreFailed, match=r"could not write runs/a in .*: a folder lies in its place: move that"):
        store.write("runs/a", b"")


def test_what_lies_in_place_of_a_file_is_said(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    (tmp_path / "runs" / "a").mkdir(parents=True)
    with pytest.raises(KeyMissing, match=r"^runs/a is not in the store .*: a folder lies in its place$"):
        store.read("runs/a")
    (tmp_path / "runs" / "b").symlink_to("b")
    with pytest.raises(BadData, match=r"^runs/b is a symbolic link to itself in the store .*: expected a file$"):
        store.read("runs/b")
    assert [entry.key for entry in store.list("runs/")] == ["runs/b"]


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../outside", "a/../../b", "a\0b"])
def test_keys_stay_inside(tmp_path: Path, key: str) -> None:
    store = open_store(str(tmp_path))
    for use in (store.read, store.exists, store.delete):
        with pytest.raises(BadData, match=r"is no key of a store: expected a relative path without \.\."):
            use(key)
    for put in (store.write, store.write_new):
        with pytest.raises(BadData, match="is no key of a store"):
            put(key, b"")


def test_what_can_not_be_read_is_not_taken_for_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(str(tmp_path))
    store.write("runs/a/histories/x", b"")

    def forbidden(path: object = ".") -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", forbidden)  # the tests may run as root, whom nothing is forbidden
    with pytest.raises(StoreFailed, match=r"could not list .*runs.* Permission denied"):
        store.list("runs/")
    monkeypatch.setattr(Path, "iterdir", forbidden)
    with pytest.raises(StoreFailed, match=r"could not list runs/ .* Permission denied"):
        store.folders("runs/")
