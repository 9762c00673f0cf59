"""One suite for every kind of store."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from rustk.store import Store
from rustk.vocabulary.errors import KeyMissing


def test_what_is_written_is_read(store: Store) -> None:
    data = bytes(range(256)) * 5000
    store.write("a/b/c.bin", data)
    assert store.read("a/b/c.bin") == data
    assert store.exists("a/b/c.bin")


def test_empty_object(store: Store) -> None:
    store.write("empty", b"")
    assert store.read("empty") == b""


def test_writing_again_replaces(store: Store) -> None:
    store.write("key", b"first, longer")
    store.write("key", b"second")
    assert store.read("key") == b"second"


def test_missing_key_names_itself_and_the_store(store: Store) -> None:
    with pytest.raises(KeyMissing) as caught:
        store.read("not/there")
    assert "not/there" in str(caught.value)
    assert store.url in str(caught.value)
    assert not store.exists("not/there")


def test_a_look_whether_it_can_be_written_leaves_nothing(store: Store) -> None:
    store.check_writable()
    assert store.list("") == []


def test_a_folder_is_no_object(store: Store) -> None:
    store.write("folder/inside", b"x")
    assert not store.exists("folder")
    with pytest.raises(KeyMissing):
        store.read("folder")


def test_list_is_sorted_and_bounded_by_the_prefix(store: Store) -> None:
    for key in ("runs/b/2", "runs/a/1", "runs/ab/3", "other/1", "runs/a/10"):
        store.write(key, key.encode())
    assert [entry.key for entry in store.list("runs/")] == ["runs/a/1", "runs/a/10", "runs/ab/3", "runs/b/2"]
    # A prefix is a string, not a folder.
    assert [entry.key for entry in store.list("runs/a")] == ["runs/a/1", "runs/a/10", "runs/ab/3"]
    assert store.list("nothing/") == []


def test_folders_are_those_directly_below(store: Store) -> None:
    for key in ("runs/b/2", "runs/a/1", "runs/a/deeper/10", "runs/file", "other/1"):
        store.write(key, b"")
    assert store.folders("runs/") == ("a", "b")
    assert store.folders("") == ("other", "runs")
    assert store.folders("nothing/") == store.folders("runs/file/") == ()


def test_entries_tell_size_and_time(store: Store) -> None:
    store.write("sized", b"12345")
    (entry,) = store.list("sized")
    assert entry.size_bytes == 5
    assert abs(entry.modified - datetime.now(UTC)) < timedelta(minutes=5)


def test_more_keys_than_one_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rustk.store.s3.PAGE_SIZE", 10)
    keys = [f"many/{number:05d}" for number in range(25)]
    for key in keys:
        store.write(key, b"")
    assert [entry.key for entry in store.list("many/")] == keys
    for number in range(25):
        store.write(f"folders/{number:02d}/key", b"")
    assert store.folders("folders/") == tuple(f"{number:02d}" for number in range(25))


def test_write_new_writes_once(store: Store) -> None:
    assert store.write_new("once", b"first")
    assert not store.write_new("once", b"second")
    assert store.read("once") == b"first"


def test_of_many_writers_one_wins(store: Store) -> None:
    won: list[int] = []

    def write(number: int) -> None:
        if store.write_new("contended", str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read("contended") == str(won[0]).encode()


def test_delete(store: Store) -> None:
    store.write("gone", b"x")
    store.delete("gone")
    assert not store.exists("gone")
    store.delete("gone")
    store.delete("never/was")
