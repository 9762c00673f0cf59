import json
from pathlib import Path

import pytest

from rustk.store import Store, open_store
from rustk.store.datasets import choose_dataset, list_datasets, read_dataset, read_index
from rustk.vocabulary.errors import BadData, BadStudy

WHOLE = {"schema": 1, "name": "a", "image_shape": [8, 8, 1], "shards": [], "index_sha256": "0" * 64, "digest": "d"}


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def test_the_only_dataset_is_chosen(here: Store) -> None:
    with pytest.raises(BadStudy, match="has no dataset: make one with"):
        choose_dataset(here, None)
    here.write("datasets/a/dataset.json", b"{}")
    here.write("datasets/half-built/develop-00000-of-00008.tfrecord", b"")
    assert choose_dataset(here, None) == "a"
    here.write("datasets/b/dataset.json", b"{}")
    assert list_datasets(here) == ["a", "b"]
    assert choose_dataset(here, "b") == "b"
    with pytest.raises(BadStudy, match=r"several datasets: choose one with --dataset \(a, b\)"):
        choose_dataset(here, None)
    with pytest.raises(BadStudy, match=r"no dataset 'c': it has a, b"):
        choose_dataset(here, "c")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "has no dataset 'a'"),
        (b"{", r"datasets/a/dataset\.json is not JSON"),
        (b"{}", r"datasets/a/dataset\.json has no field digest, image_shape"),
        (json.dumps({**WHOLE, "schema": 2}).encode(), "schema 2: this rustk reads schema 1"),
    ],
)
def test_a_broken_description_is_one_line(here: Store, content: bytes | None, message: str) -> None:
    if content is not None:
        here.write("datasets/a/dataset.json", content)
    with pytest.raises(BadData, match=message):
        read_dataset(here, "a")


def test_an_index_of_another_digest_is_refused(here: Store) -> None:
    with pytest.raises(BadData, match=r"index\.parquet is missing"):
        read_index(here, WHOLE)
    here.write("datasets/a/index.parquet", b"other")
    with pytest.raises(BadData, match=r"index\.parquet has sha256 [0-9a-f]{12}\.\.\., dataset\.json says 000000000000"):
        read_index(here, WHOLE)
