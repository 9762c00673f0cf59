import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.vocabulary import names


@given(trial=st.integers(0, 99_999), fold=st.integers(0, 999))
def test_fold_keys_are_read_back(trial: int, fold: int) -> None:
    for key in (names.history_key, names.prediction_key, names.checkpoint_key, names.failure_key):
        assert names.parse_fold_key(key("regime2-01234567", trial, fold)) == (trial, fold)


@pytest.mark.parametrize(
    "key",
    [
        "runs/a/study.json",
        "runs/a/histories/trial=x/fold=1.parquet",
        "runs/a/histories/trial=1/fold=1.parquet.tmp",
        f"runs/a/histories/trial={'1' * 5000}/fold=1.parquet",
        "runs/a/histories/trial=٣/fold=1.parquet",
        "datasets/a/b",
        "",
    ],
)
def test_other_keys_are_no_folds(key: str) -> None:
    assert names.parse_fold_key(key) is None


def test_keys_of_the_documented_layout() -> None:
    assert names.history_key("r", 7, 3) == "runs/r/histories/trial=0007/fold=3.parquet"
    assert names.shard_name("develop", 0, 8) == "develop-00000-of-00008.tfrecord"
    assert names.opening_key("d", 1) == "datasets/d/openings/0001.json"
    assert names.weights_entry_key("imagenet") == "weights/imagenet.json"
    assert names.submission_key("r", "x") == "runs/r/submissions/x.json"


def test_keys_lie_below_their_prefixes() -> None:
    for key, prefix in (
        (names.history_key("r", 1, 2), names.histories_prefix("r")),
        (names.prediction_key("r", 1, 2), names.predictions_prefix("r")),
        (names.failure_key("r", 1, 2), names.failures_prefix("r")),
        (names.submission_key("r", "x"), names.submissions_prefix("r")),
        (names.run_study_key("r"), names.run_prefix("r")),
        (names.model_card_key("r"), names.run_prefix("r")),
        (names.dataset_key("d"), names.dataset_prefix("d")),
        (names.dataset_shard_key("d", "s"), names.dataset_prefix("d")),
        (names.opening_key("d", 1), names.openings_prefix("d")),
    ):
        assert key.startswith(prefix), key


def test_a_comparison_of_many_runs_is_still_one_folder() -> None:
    many = [f"run-{number:03d}" for number in range(100)]
    prefix = names.comparison_prefix(many)
    assert len(prefix) < 255
    assert prefix != names.comparison_prefix(many[:-1])
    assert names.comparison_prefix(["a", "b"]) == "comparisons/a+b/"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[("a", True), ("regime2-1a2b", True), ("a" * 63, True)],
        *[("-a", False), ("a-", False), ("A", False), ("a" * 64, False), ("", False), ("a\n", False)],
    ],
)
def test_names(text: str, expected: bool) -> None:
    assert names.is_name(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[("a", True), ("Regime_2.v1", True), ("_x", True), ("a" * 100, True)],
        *[("", False), (".", False), ("..", False), ("/", False), ("x/", False), ("../x", False), (".hidden", False)],
        *[("a b", False), ("a\n", False), ("a\0", False), ("-x", False), ("é", False), ("a" * 101, False)],
    ],
)
def test_folders(text: str, expected: bool) -> None:
    assert names.is_folder(text) is expected


def test_what_a_key_says_is_read_from_it() -> None:
    assert names.parse_opening_key(names.opening_key("mine", 12)) == 12
    for other in ("datasets/mine/openings/foo.json", "datasets/mine/dataset.json", names.round_key("a-1", 1)):
        assert names.parse_opening_key(other) is None
    assert names.run_of(names.history_key("a-1", 2, 3)) == "a-1"
