"""What to do about a damaged file."""

import pytest

from rustk.store.documents import RunDocument, read_document
from rustk.store.remedies import advised, damaged, remedy
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, KeyMissing
from tests.store.memory import MemoryStore

KEYS = [
    names.run_study_key("a-1"),
    names.trials_key("a-1"),
    names.folds_key("a-1"),
    names.history_key("a-1", 2, 3),
    names.prediction_key("a-1", 2, 3),
    names.failure_key("a-1", 2, 3),
    names.submission_key("a-1", "20260101T000000000000Z"),
    names.redone_history_key("a-1", 2, 3, 1),
    names.model_card_key("a-1"),
    names.test_prediction_key("a-1"),
    names.examples_key("a-1"),
    names.dataset_key("mine"),
    names.dataset_index_key("mine"),
    names.opening_key("mine", 1),
    names.weights_entry_key("imagenet"),
]


@pytest.mark.parametrize("key", KEYS)
def test_every_file_that_is_read_has_a_remedy(key: str) -> None:
    assert remedy(key).startswith("put back the file as it was written")
    assert "{" not in remedy(key)


def test_a_remedy_names_the_run_and_the_weights() -> None:
    assert "`rustk runs delete a-1`" in remedy(names.run_study_key("a-1"))
    assert "`rustk weights add imagenet FILE`" in remedy(names.weights_entry_key("imagenet"))
    assert remedy("elsewhere/x.json") == ""


def test_the_records_of_looks_outlive_the_dataset() -> None:
    """The folder holds them: who removed it whole would have a test split that nobody looked at."""
    assert "remove datasets/mine/dataset.json and run `rustk phantom`" in remedy(names.dataset_index_key("mine"))


def test_a_damaged_document_says_what_to_do_once() -> None:
    store, key = MemoryStore(), names.run_study_key("a-1")
    store.write(key, b"{")
    with pytest.raises(BadData) as caught, advised(key):
        read_document(store, key, RunDocument)
    assert str(caught.value).startswith(f"{key}: not JSON: ")
    assert str(caught.value).count(remedy(key)) == 1


def test_what_is_missing_is_not_damaged() -> None:
    key = names.run_study_key("a-1")
    with pytest.raises(KeyMissing) as caught, advised(key):
        read_document(MemoryStore(), key, RunDocument)
    assert "put back" not in str(caught.value)


def test_an_error_of_a_file_ends_with_what_to_do() -> None:
    key = names.trials_key("a-1")
    assert str(damaged(key, f"{key}: why")) == f"{key}: why: {remedy(key)}"
    assert str(damaged("elsewhere/x.json", "why")) == "why"
