import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.vocabulary import names


@given(trial=st.integers(0, 99_999), fold=st.integers(0, 999))
def test_fold_keys_are_read_back(trial: int, fold: int) -> None:
    for key in (names.history_key, names.prediction_key, names.checkpoint_key, names.failure_key):
        assert names.parse_fold_key(key("regime2-01234567", trial, fold)) == (trial, fold)


@pytest.mark.parametrize("key", ["runs/a/study.json", "runs/a/histories/trial=x/fold=1.parquet", "datasets/a/b"])
def test_other_keys_are_no_folds(key: str) -> None:
    assert names.parse_fold_key(key) is None


def test_keys_of_the_documented_layout() -> None:
    assert names.history_key("r", 7, 3) == "runs/r/histories/trial=0007/fold=3.parquet"
    assert names.shard_name("develop", 0, 8) == "develop-00000-of-00008.tfrecord"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", True), ("regime2-1a2b", True), ("-a", False), ("a-", False), ("A", False), ("a" * 64, False), ("", False)],
)
def test_names(text: str, expected: bool) -> None:
    assert names.is_name(text) is expected
