from datetime import UTC, datetime

import pytest

from rustk.store.documents import DatasetDocument, Opening, write_document
from rustk.store.seal import check_seal, list_openings, may_look, open_seal, read_card, seal_sentence
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy
from tests.store.memory import MemoryStore

SHA = "0" * 64
DATASET = DatasetDocument(name="d", image_shape=(8, 8, 1), shards=(), index_sha256=SHA, digest=SHA)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def opening(number: int, run: str = "r") -> Opening:
    at = datetime(2025, 1, number, tzinfo=UTC)
    return Opening(number=number, run=run, trial=0, epochs=3, dataset_digest=SHA, opened=at)


def test_every_look_is_recorded_in_order(store: MemoryStore) -> None:
    assert list_openings(store, "d") == []
    first = open_seal(store, DATASET, "r", 0, 3, None)
    second = open_seal(store, DATASET, "s", 1, 5, "a fault was found")
    assert list_openings(store, "d") == [first, second]
    assert (second.number, second.run, second.trial, second.epochs, second.why) == (2, "s", 1, 5, "a fault was found")
    assert second.dataset_digest == SHA


def test_two_that_look_at_once_take_two_numbers(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write_document(store, names.opening_key("d", 1), opening(1, "other"))
    monkeypatch.setattr("rustk.store.seal.list_openings", lambda *_: [])
    assert open_seal(store, DATASET, "r", 0, 3, None).number == 2


def test_the_seal_in_words() -> None:
    assert seal_sentence([]) == "The test split has not been looked at."
    assert seal_sentence([opening(1)]) == "The test split was opened once, last by run r on 2025-01-01."
    assert seal_sentence([opening(1), opening(2, "s")]) == (
        "The test split was opened 2 times, last by run s on 2025-01-02. "
        "Each further look makes its figures more optimistic."
    )


def test_a_record_that_is_gone_still_counts(store: MemoryStore) -> None:
    for number in (1, 4):
        write_document(store, names.opening_key("d", number), opening(number))
    said = seal_sentence(list_openings(store, "d"))
    assert said.startswith("The test split was opened 4 times")
    assert said.endswith("The records of 2 of these looks are missing.")


def test_a_record_under_another_name_is_refused(store: MemoryStore) -> None:
    write_document(store, names.opening_key("d", 7), opening(1))
    with pytest.raises(BadData, match=r"openings/0007\.json: number = 1: expected that of the file's name: put back"):
        list_openings(store, "d")
    store.delete(names.opening_key("d", 7))
    store.write("datasets/d/openings/foo.json", b"{}")
    store.write("datasets/d/openings/.DS_Store", b"x")
    with pytest.raises(BadData, match=r"openings/foo\.json: not the name of a record: expected 0001\.json"):
        list_openings(store, "d")


def test_a_further_look_needs_a_reason() -> None:
    check_seal([], "d", None)
    check_seal([opening(1)], "d", "a fault was found")
    for why in (None, "", "  "):
        with pytest.raises(BadStudy, match=r'opened once, last by run r on 2025-01-01: .*; add --again "why"'):
            check_seal([opening(1)], "d", why)


@pytest.mark.parametrize("why", ["a\nb", "\x1b[31mred", "a" * 501])
def test_a_reason_is_one_line_that_a_report_can_show(store: MemoryStore, why: str) -> None:
    with pytest.raises(BadStudy, match=r"^--again '.*': expected one line of at most 500 characters"):
        may_look(store, "d", "r", 0, 3, why)


def test_a_look_that_was_interrupted_is_taken_up(store: MemoryStore) -> None:
    assert may_look(store, "d", "r", 0, 3, None).taken is None
    taken = open_seal(store, DATASET, "r", 0, 3, None)
    assert may_look(store, "d", "r", 0, 3, None).taken == taken
    for run, trial, epochs in (("s", 0, 3), ("r", 1, 3), ("r", 0, 4)):
        with pytest.raises(BadStudy, match="was opened once"):
            may_look(store, "d", run, trial, epochs, None)
        assert may_look(store, "d", run, trial, epochs, "because").taken is None


def test_a_blank_reason_is_none(store: MemoryStore) -> None:
    with pytest.raises(BadStudy, match=r"^--again ' ': expected why the test split is to be looked at again"):
        may_look(store, "d", "r", 0, 3, "  ")


def test_a_damaged_record_is_named(store: MemoryStore) -> None:
    store.write(names.opening_key("d", 1), b"null")
    with pytest.raises(BadData, match=r"^datasets/d/openings/0001\.json: "):
        list_openings(store, "d")
    store.write(names.model_card_key("r"), b'{"run": 5}')
    with pytest.raises(BadData, match=r"^runs/r/model/card\.json: run = 5: "):
        read_card(store, "r")
    assert read_card(store, "other") is None
