from datetime import UTC, datetime

import pytest

from rustk.store.documents import DatasetDocument, NamedDigest, Opening, write_document
from rustk.store.seal import Looks, check_seal, list_looks, list_openings, may_look, open_seal, read_card, seal_sentence
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy
from tests.store.memory import MemoryStore

SHA = "0" * 64
OTHER = "1" * 64
D = NamedDigest(name="d", digest=SHA)
DATASET = DatasetDocument(name="d", image_shape=(8, 8, 1), shards=(), index_sha256=SHA, digest=SHA)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def opening(number: int, run: str = "r", day: int | None = None, digest: str = SHA) -> Opening:
    at = datetime(2025, 1, day or number, tzinfo=UTC)
    return Opening(dataset="d", number=number, run=run, trial=0, epochs=3, dataset_digest=digest, opened=at)


def put(store: MemoryStore, dataset: str, *openings: Opening, digest: str | None = None) -> None:
    """Records in a dataset's folder; without a digest it has no dataset.json."""
    for one in openings:
        write_document(store, names.opening_key(dataset, one.number), one.model_copy(update={"dataset": dataset}))
    if digest is not None:
        document = DATASET.model_copy(update={"name": dataset, "digest": digest})
        write_document(store, names.dataset_key(dataset), document)


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
    assert seal_sentence(Looks()) == "The test split has not been looked at."
    assert seal_sentence(Looks((opening(1),))) == "The test split was opened once, last by run r on 2025-01-01."
    assert seal_sentence(Looks((opening(1), opening(2, "s")))) == (
        "The test split was opened 2 times, last by run s on 2025-01-02. "
        "Each further look makes its figures more optimistic."
    )


def test_a_record_that_is_gone_still_counts(store: MemoryStore) -> None:
    for number in (1, 4):
        write_document(store, names.opening_key("d", number), opening(number))
    said = seal_sentence(list_looks(store, D))
    assert said.startswith("The test split was opened 4 times")
    assert said.endswith("The records of 2 of these looks are missing.")


def told(looks: Looks) -> list[tuple[str | None, int]]:
    return [(one.dataset, one.number) for one in looks.openings]


def test_a_look_counts_for_every_dataset_of_its_digest(store: MemoryStore) -> None:
    put(store, "d", opening(1), opening(2, day=9), digest=SHA)
    put(store, "again", opening(1, "s", day=5), digest=SHA)
    put(store, "replaced", opening(1, "t", day=4), opening(2, "t", day=6, digest=OTHER), digest=OTHER)
    put(store, "gone", opening(1, "u", day=3))
    put(store, "other", opening(1, "v", day=2, digest=OTHER), digest=OTHER)
    looks = list_looks(store, D)
    assert told(looks) == [("d", 1), ("gone", 1), ("replaced", 1), ("again", 1), ("d", 2)]
    assert looks.lost == 0
    assert seal_sentence(looks).startswith("The test split was opened 5 times, last by run r on 2025-01-09.")
    assert told(list_looks(store, NamedDigest(name="new", digest=OTHER))) == [
        ("other", 1),
        ("replaced", 1),
        ("replaced", 2),
    ]
    assert list_looks(store, NamedDigest(name="new", digest="2" * 64)) == Looks()


def test_what_is_said_of_a_digest_in_a_record_or_in_its_dataset_is_enough(store: MemoryStore) -> None:
    put(store, "again", opening(3, digest=OTHER), digest=SHA)
    assert list_looks(store, D).count == 3, "of a dataset of this digest every look counts, and each that is gone"
    store.write(names.dataset_key("again"), b"null")
    assert list_looks(store, D).count == 0
    put(store, "again", opening(4))
    assert told(list_looks(store, D)) == [("again", 4)]


def test_without_a_digest_it_is_that_of_the_store_s_dataset(store: MemoryStore) -> None:
    put(store, "again", opening(1), digest=SHA)
    assert list_looks(store, NamedDigest(name="d")) == Looks()
    put(store, "d", digest=SHA)
    assert told(list_looks(store, NamedDigest(name="d"))) == [("again", 1)]


def test_looks_in_one_folder_are_in_the_order_of_their_numbers(store: MemoryStore) -> None:
    put(store, "d", opening(1, day=8), opening(2, "s", day=7))
    assert told(list_looks(store, D)) == [("d", 1), ("d", 2)]


def test_a_look_under_another_name_needs_a_reason_for_the_next(store: MemoryStore) -> None:
    put(store, "again", opening(1), digest=SHA)
    with pytest.raises(BadStudy, match=r"dataset d was opened once, last by run r, as dataset again, on 2025-01-01: "):
        may_look(store, D, "s", 0, 3, None)
    # A run of the same name on the other dataset is another run.
    with pytest.raises(BadStudy, match="was opened once"):
        may_look(store, D, "r", 0, 3, None)
    assert may_look(store, D, "s", 0, 3, "another name").taken is None
    taken = open_seal(store, DATASET, "s", 0, 3, "another name")
    assert (taken.dataset, taken.number) == ("d", 1)
    assert list_looks(store, D).count == 2
    assert may_look(store, D, "s", 0, 3, None).taken == taken


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
    once = Looks((opening(1),))
    check_seal(Looks(), "d", None)
    check_seal(once, "d", "a fault was found")
    for why in (None, "", "  "):
        with pytest.raises(BadStudy, match=r'opened once, last by run r on 2025-01-01: .*; add --again "why"'):
            check_seal(once, "d", why)


@pytest.mark.parametrize("why", ["a\nb", "\x1b[31mred", "a" * 501])
def test_a_reason_is_one_line_that_a_report_can_show(store: MemoryStore, why: str) -> None:
    with pytest.raises(BadStudy, match=r"^--again '.*': expected one line of at most 500 characters"):
        may_look(store, D, "r", 0, 3, why)


def test_a_look_that_was_interrupted_is_taken_up(store: MemoryStore) -> None:
    assert may_look(store, D, "r", 0, 3, None).taken is None
    taken = open_seal(store, DATASET, "r", 0, 3, None)
    assert may_look(store, D, "r", 0, 3, None).taken == taken
    for run, trial, epochs in (("s", 0, 3), ("r", 1, 3), ("r", 0, 4)):
        with pytest.raises(BadStudy, match="was opened once"):
            may_look(store, D, run, trial, epochs, None)
        assert may_look(store, D, run, trial, epochs, "because").taken is None


def test_a_blank_reason_is_none(store: MemoryStore) -> None:
    with pytest.raises(BadStudy, match=r"^--again ' ': expected why the test split is to be looked at again"):
        may_look(store, D, "r", 0, 3, "  ")


def test_a_damaged_record_is_named(store: MemoryStore) -> None:
    store.write(names.opening_key("d", 1), b"null")
    with pytest.raises(BadData, match=r"^datasets/d/openings/0001\.json: "):
        list_openings(store, "d")
    store.write(names.model_card_key("r"), b'{"run": 5}')
    with pytest.raises(BadData, match=r"^runs/r/model/card\.json: run = 5: "):
        read_card(store, "r")
    assert read_card(store, "other") is None
