import os
from pathlib import Path

import pytest

from rustk.store import open_store
from rustk.vocabulary.errors import StoreFailed


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


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../outside", "a/../../b"])
def test_keys_stay_inside(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        open_store(str(tmp_path)).read(key)
