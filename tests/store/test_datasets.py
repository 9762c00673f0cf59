import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from rustk.store import Store, open_store
from rustk.store.datasets import choose_dataset, dataset_digest, list_datasets, read_dataset, read_index
from rustk.store.documents import DatasetDocument, write_document
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.instrument import Instrument, load_instrument
from rustk.vocabulary.parquet import encode_parquet
from tests.instruments import MRUST, ODD, SINGLE
from tests.planning.plans import index_of

SHA = "0" * 64


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


def put(store: Store, index: pa.Table, instrument: Instrument = MRUST, name: str = "a") -> DatasetDocument:
    data = encode_parquet(index)
    sha256 = hashlib.sha256(data).hexdigest()
    document = DatasetDocument(
        name=name, instrument=instrument, image_shape=(8, 8, 1), shards=(), index_sha256=sha256, digest=SHA
    )
    store.write(names.dataset_index_key(name), data)
    write_document(store, names.dataset_key(name), document)
    return document


def test_the_only_dataset_is_chosen(here: Store) -> None:
    with pytest.raises(BadStudy, match="has no dataset: make one with"):
        choose_dataset(here, None)
    with pytest.raises(BadStudy, match="has no dataset 'a': it has none; make one with"):
        choose_dataset(here, "a")
    here.write("datasets/bones/dataset.json", b"{}")
    here.write("datasets/half-built/develop-00000-of-00008.tfrecord", b"")
    assert choose_dataset(here, None) == "bones"
    here.write("datasets/hips/dataset.json", b"{}")
    assert list_datasets(here) == ["bones", "hips"]
    assert choose_dataset(here, "hips") == "hips"
    with pytest.raises(BadStudy, match=r"several datasets: choose one with --dataset \(bones, hips\)"):
        choose_dataset(here, None)
    with pytest.raises(BadStudy, match=r"no dataset 'bone': did you mean bones\?"):
        choose_dataset(here, "bone")
    with pytest.raises(BadStudy, match=r"no dataset '\.\./x': expected one of bones, hips"):
        choose_dataset(here, "../x")


@pytest.mark.parametrize("instrument", [MRUST, SINGLE, ODD], ids=lambda instrument: instrument.name)
def test_an_index_comes_back_by_split(here: Store, instrument: Instrument) -> None:
    index = index_of(30, instrument=instrument)
    document = put(here, index, instrument)
    assert read_dataset(here, "a") == document
    assert read_index(here, document).equals(index)
    assert read_index(here, document, "develop")["position"].to_pylist() == list(range(30))
    assert read_index(here, document, "test").num_rows == 3


def test_the_rows_of_a_split_are_in_the_order_of_records(here: Store) -> None:
    index = index_of(10)
    document = put(here, index.take(list(reversed(range(index.num_rows)))))
    assert read_index(here, document, "develop")["position"].to_pylist() == list(range(10))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "has no dataset 'a'"),
        (b"{", r"datasets/a/dataset\.json: not JSON"),
        (b"null", r"datasets/a/dataset\.json: "),
        (b"{}", r"datasets/a/dataset\.json: name: missing"),
        (b'{"schema": 2}', r"datasets/a/dataset\.json: schema = 2: expected 1"),
    ],
)
def test_a_broken_description_is_one_line(here: Store, content: bytes | None, message: str) -> None:
    if content is not None:
        here.write("datasets/a/dataset.json", content)
    with pytest.raises(BadData, match=message):
        read_dataset(here, "a")


def test_a_description_of_another_dataset_is_refused(here: Store) -> None:
    write_document(here, names.dataset_key("b"), put(here, index_of(3)))
    with pytest.raises(BadData, match=r"datasets/b/dataset\.json: name = 'a': expected b, the folder that it lies in"):
        read_dataset(here, "b")


def test_an_index_of_another_digest_is_refused(here: Store) -> None:
    document = put(here, index_of(3))
    here.write("datasets/a/index.parquet", b"other")
    with pytest.raises(BadData, match=r"index\.parquet has sha256 [0-9a-f]{12}\.\.\., dataset\.json says "):
        read_index(here, document)
    here.delete("datasets/a/index.parquet")
    with pytest.raises(BadData, match=r"index\.parquet is missing"):
        read_index(here, document)


def test_an_index_of_another_instrument_is_refused(here: Store) -> None:
    """Its sites' columns are optional where data may leave them out; its own must not be taken for another's."""
    table = index_of(3).drop_columns(["view"])
    with pytest.raises(BadData, match=r"datasets/a/index\.parquet: column view is missing: expected string"):
        read_index(here, put(here, table))
    table = index_of(3)
    text = pa.array(["four"] * table.num_rows)
    table = table.set_column(table.column_names.index("medial"), "medial", text)
    with pytest.raises(BadData, match=r"column medial is string: expected int8 \(text is not a number\)"):
        read_index(here, put(here, table))


def test_the_digest_covers_what_scores_mean_and_no_titles() -> None:
    one = dataset_digest([8, 8, 1], (), SHA, MRUST)
    assert one == dataset_digest((8, 8, 1), (), SHA, MRUST.model_copy(update={"title": "Other"}))
    assert one != dataset_digest([8, 8, 1], (), SHA, load_instrument("rust"))
    assert one != dataset_digest([8, 9, 1], (), SHA, MRUST)
