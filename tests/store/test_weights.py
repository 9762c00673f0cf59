import hashlib

import pytest

from rustk.store.documents import WeightsEntry
from rustk.store.weights import (
    check_weights_name,
    find_weights,
    list_weights,
    put_weights,
    read_weights,
    resolve_weights,
)
from rustk.vocabulary.errors import BadData, BadStudy
from tests.store.memory import MemoryStore

DATA = b"weights"
SHA = hashlib.sha256(DATA).hexdigest()


def entry_of(name: str, suffix: str = ".h5") -> WeightsEntry:
    return WeightsEntry.model_validate(
        {
            "name": name,
            "architecture": "inception_v3",
            "file": f"mine{suffix}",
            "suffix": suffix,
            "bytes": len(DATA),
            "sha256": SHA,
        }
    )


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    put_weights(store, entry_of("imagenet"), DATA)
    return store


def test_weights_are_found_and_read(store: MemoryStore) -> None:
    assert find_weights(store, "imagenet") == entry_of("imagenet")
    assert read_weights(store, "imagenet", SHA) == (entry_of("imagenet"), DATA)
    assert resolve_weights(store, "imagenet") == resolve_weights(store, "imagenet", "inception_v3") == SHA
    assert resolve_weights(store, "random", "lenet") is None


def test_weights_are_listed_by_name(store: MemoryStore) -> None:
    put_weights(store, entry_of("a"), DATA)
    store.write("weights/deeper/x.json", b"no description of weights")
    assert [entry.name for entry in list_weights(store)] == ["a", "imagenet"]


def test_weights_of_a_name_replace_those_before(store: MemoryStore) -> None:
    put_weights(store, entry_of("imagenet", ".keras"), DATA)
    assert [entry.key for entry in store.list("weights/")] == ["weights/imagenet.json", "weights/imagenet.keras"]


def test_other_weights_of_a_name_are_not_replaced_unasked(store: MemoryStore) -> None:
    other = entry_of("imagenet").model_copy(update={"architecture": "resnet50"})
    with pytest.raises(
        BadStudy, match=r"has other weights imagenet \(of inception_v3, sha256 .*choose another name, or"
    ):
        put_weights(store, other, DATA)
    assert find_weights(store, "imagenet") == entry_of("imagenet")
    put_weights(store, other, DATA, replace=True)
    assert find_weights(store, "imagenet") == other
    store.write("weights/imagenet.json", b"damaged")
    put_weights(store, entry_of("imagenet"), DATA)
    assert find_weights(store, "imagenet") == entry_of("imagenet")


def test_weights_that_are_not_there_say_what_to_do(store: MemoryStore) -> None:
    with pytest.raises(BadStudy, match=r"no weights mine: add a file with `rustk weights add mine FILE` .*random$"):
        find_weights(store, "mine")
    with pytest.raises(BadStudy, match=r"radimagenet.* is to be asked for at https://www\.radimagenet\.com"):
        find_weights(store, "radimagenet")
    with pytest.raises(BadStudy, match=r"imagenet are of inception_v3, the study's model\.architecture is lenet"):
        resolve_weights(store, "imagenet", "lenet")


def test_other_weights_than_planned_are_refused(store: MemoryStore) -> None:
    with pytest.raises(BadData, match=r"weights/imagenet\.h5 has sha256 .*, the run was planned with 000000000000"):
        read_weights(store, "imagenet", "0" * 64)
    store.delete("weights/imagenet.h5")
    with pytest.raises(BadData, match=r"weights/imagenet\.h5 is missing: add it again"):
        read_weights(store, "imagenet", SHA)
    store.write("weights/imagenet.json", b"{}")
    with pytest.raises(BadData, match=r"^weights/imagenet\.json: name: missing"):
        find_weights(store, "imagenet")


@pytest.mark.parametrize("name", ["random", "", "..", "a/b", "Über", "a" * 64])
def test_what_can_not_name_weights(name: str) -> None:
    check_weights_name("imagenet")
    with pytest.raises(BadStudy, match=r"weights name '.*': expected at most 63 lower-case letters"):
        check_weights_name(name)
