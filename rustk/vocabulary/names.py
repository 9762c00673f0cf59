"""Where things lie in the store, and what they are called. One function a thing; nothing else builds a key."""

import hashlib
import re
from collections.abc import Sequence

MAX_JOB_NAME = 52  # leaves room for what Kubernetes and CronJobs append within a 63-character label

_MAX_COMPARISON_NAME = 200  # a file name has at most 255 bytes

# In words, what `is_name` asks for.
NAME_RULE = "at most 63 lower-case letters, digits and dashes, no dash at either end"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# What others called a run that they published may be freer, but must stay one folder's name in any store.
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def is_name(text: str) -> bool:
    """Whether `text` can name a study, run or dataset: lower-case letters, digits and dashes, at most 63 (RFC 1123)."""
    return _NAME.fullmatch(text) is not None


def is_folder(text: str) -> bool:
    """Whether `text` can be the folder of a run, a dataset or a file that is there, whoever named it."""
    return _FOLDER.fullmatch(text) is not None


DATASETS = "datasets/"
RUNS = "runs/"
WEIGHTS = "weights/"


def dataset_prefix(dataset: str) -> str:
    return f"{DATASETS}{dataset}/"


def dataset_key(dataset: str) -> str:
    return f"datasets/{dataset}/dataset.json"


def dataset_index_key(dataset: str) -> str:
    return f"datasets/{dataset}/index.parquet"


def shard_name(split: str, number: int, count: int) -> str:
    """The file of a shard, in TensorFlow's manner: develop-00000-of-00008.tfrecord."""
    return f"{split}-{number:05d}-of-{count:05d}.tfrecord"


def dataset_shard_key(dataset: str, shard: str) -> str:
    return f"datasets/{dataset}/{shard}"


def weights_key(name: str, suffix: str) -> str:
    return f"{WEIGHTS}{name}{suffix}"


def weights_entry_key(name: str) -> str:
    """What the weights of this name are; written after them, so that its presence means that they are there."""
    return weights_key(name, ".json")


def feature_key(backbone_digest: str, shard_sha256: str) -> str:
    """Features of one shard: content-addressed by the backbone with its weights, and by the shard's bytes."""
    return f"features/{backbone_digest}/{shard_sha256}.npz"


def run_prefix(run: str) -> str:
    return f"{RUNS}{run}/"


def histories_prefix(run: str) -> str:
    return f"{RUNS}{run}/histories/"


def predictions_prefix(run: str) -> str:
    return f"{RUNS}{run}/predictions/"


def failures_prefix(run: str) -> str:
    return f"{RUNS}{run}/failures/"


def submissions_prefix(run: str) -> str:
    return f"{RUNS}{run}/submissions/"


def rounds_prefix(run: str) -> str:
    return f"{RUNS}{run}/rounds/"


def openings_prefix(dataset: str) -> str:
    """Below which the records lie that the seal of a dataset's test split was opened."""
    return f"{DATASETS}{dataset}/openings/"


def run_study_key(run: str) -> str:
    return f"runs/{run}/study.json"


def folds_key(run: str) -> str:
    return f"runs/{run}/folds.parquet"


def trials_key(run: str) -> str:
    return f"runs/{run}/trials.parquet"


def submission_key(run: str, submission: str) -> str:
    return f"runs/{run}/submissions/{submission}.json"


def fold_path(trial: int, fold: int) -> str:
    return f"trial={trial:04d}/fold={fold}"


def history_key(run: str, trial: int, fold: int) -> str:
    return f"runs/{run}/histories/{fold_path(trial, fold)}.parquet"


def prediction_key(run: str, trial: int, fold: int) -> str:
    return f"runs/{run}/predictions/{fold_path(trial, fold)}.parquet"


def checkpoint_key(run: str, trial: int, fold: int) -> str:
    return f"runs/{run}/checkpoints/{fold_path(trial, fold)}.npz"


def failure_key(run: str, trial: int, fold: int) -> str:
    """Why a fold failed, in the words of the worker that gave up; removed when its history is written."""
    return f"runs/{run}/failures/{fold_path(trial, fold)}.json"


def round_key(run: str, number: int) -> str:
    """What a search decided after its `number`-th round, from 1."""
    return f"{rounds_prefix(run)}{number:04d}.json"


def redone_prefix(run: str, trial: int, fold: int) -> str:
    """Below which lies what a fold that was trained again came to, and what it took the place of."""
    return f"runs/{run}/redone/{fold_path(trial, fold)}/"


def redone_history_key(run: str, trial: int, fold: int, number: int) -> str:
    """The history of the `number`-th time that a fold was trained again, from 1; the one it replaced has 0."""
    return f"{redone_prefix(run, trial, fold)}{number:04d}.parquet"


def redone_prediction_key(run: str, trial: int, fold: int, number: int) -> str:
    return f"{redone_prefix(run, trial, fold)}{number:04d}-predictions.parquet"


def redone_checkpoint_key(run: str, trial: int, fold: int, number: int) -> str:
    return f"{redone_prefix(run, trial, fold)}{number:04d}-checkpoint.npz"


def model_key(run: str) -> str:
    """The final model of a run, trained on all of develop."""
    return f"runs/{run}/model/model.keras"


def model_card_key(run: str) -> str:
    """What the final model is, and how it did on the test split; written last."""
    return f"runs/{run}/model/card.json"


def model_history_key(run: str) -> str:
    return f"runs/{run}/model/history.parquet"


def model_checkpoint_key(run: str) -> str:
    return f"runs/{run}/model/checkpoint.npz"


def shuffled_head_key(run: str) -> str:
    """A head trained on shuffled scores: the control of the final model's heat maps."""
    return f"runs/{run}/model/shuffled-head.keras"


def examples_prefix(run: str) -> str:
    """Below which pictures of test images lie, where they were asked for, with what the final model says of them."""
    return f"runs/{run}/model/examples/"


def examples_key(run: str) -> str:
    """Which examples there are; written last."""
    return f"{examples_prefix(run)}examples.json"


def example_picture_key(run: str, file: str) -> str:
    return f"{examples_prefix(run)}{file}"


def test_prediction_key(run: str) -> str:
    return f"runs/{run}/model/test-predictions.parquet"


def opening_key(dataset: str, number: int) -> str:
    """The record that the seal of a dataset's test split was opened for the `number`-th time, from 1."""
    return f"{openings_prefix(dataset)}{number:04d}.json"


def report_prefix(run: str) -> str:
    return f"runs/{run}/report/"


def comparison_prefix(runs: Sequence[str]) -> str:
    """Where the comparison of several runs lies; the same runs in another order are another comparison."""
    joined = "+".join(runs)
    if len(joined) > _MAX_COMPARISON_NAME:
        digest = hashlib.sha256(joined.encode()).hexdigest()[:8]
        joined = f"{joined[:_MAX_COMPARISON_NAME]}-{digest}"
    return f"comparisons/{joined}/"


_FOLD_KEY = re.compile(r"runs/[^/]+/[a-z]+/trial=([0-9]{1,9})/fold=([0-9]{1,9})\.[a-z]+")


def parse_fold_key(key: str) -> tuple[int, int] | None:
    """(trial, fold) of a history's, prediction's, checkpoint's or failure's key; None for any other key."""
    match = _FOLD_KEY.fullmatch(key)
    return (int(match[1]), int(match[2])) if match else None


_FOLD_PATH = re.compile(r"trial=([0-9]{1,9})/fold=([0-9]{1,9})")


def parse_fold_path(path: str) -> tuple[int, int] | None:
    """(trial, fold) of a fold's path; None for any other text."""
    match = _FOLD_PATH.fullmatch(path)
    return (int(match[1]), int(match[2])) if match else None


_ROUND_KEY = re.compile(r"runs/[^/]+/rounds/([0-9]{4,9})\.json")
_OPENING_KEY = re.compile(r"datasets/[^/]+/openings/([0-9]{4,9})\.json")


def parse_round_key(key: str) -> int | None:
    """The number of a round's key; None for any other key."""
    match = _ROUND_KEY.fullmatch(key)
    return int(match[1]) if match else None


def parse_opening_key(key: str) -> int | None:
    """The number of an opening's key; None for any other key."""
    match = _OPENING_KEY.fullmatch(key)
    return int(match[1]) if match else None


def run_of(key: str) -> str:
    """The run whose folder the file of this key lies in."""
    return key.removeprefix(RUNS).partition("/")[0]
