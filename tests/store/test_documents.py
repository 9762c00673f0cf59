import copy
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustk.store.card import CardData, Chosen, ModelCard
from rustk.store.documents import (
    DatasetDocument,
    Document,
    Failure,
    HistoryMetadata,
    NamedDigest,
    NamedWeights,
    Opening,
    Planned,
    RunDocument,
    Shard,
    StudyPart,
    Submission,
    WeightsEntry,
    encode_document,
    parse_document,
    read_document,
    write_document,
)
from rustk.store.runs import describe_plan
from rustk.vocabulary.errors import BadData, KeyMissing
from tests.instruments import MRUST, ODD
from tests.planning.plans import random_plan
from tests.store.memory import MemoryStore

AT = datetime(2025, 1, 31, 12, 0, 0, tzinfo=UTC)
SHA = "0" * 64

DATASET = DatasetDocument(
    name="odd",
    instrument=ODD,
    image_shape=(8, 8, 1),
    shards=(Shard(key="develop-00000-of-00001.tfrecord", split="develop", records=3, bytes=9, sha256=SHA),),
    counts={"develop": 3, "test": 0},
    patients={"develop": 2, "test": None},
    index_sha256=SHA,
    preparation={"size": 8},
    skipped=({"file": "a.png", "why": "blank"},),
    digest=SHA,
)
DOCUMENTS: list[Document] = [
    DATASET,
    describe_plan(random_plan(trials=2), AT),
    RunDocument(study=StudyPart(name="theirs"), planned=Planned(trials=3, folds=6)),
    HistoryMetadata(run="r", trial=0, fold=1, outcome="diverged", hyperparameters={"epsilon": 1e-7}, ended_at=AT),
    HistoryMetadata(),
    Failure(trial=0, fold=1, exit_code=65, message="why", failed_at=AT),
    Submission(submitted_at=AT, rustk="1", backend="local", folds=3, details={"workers": 2}),
    WeightsEntry(name="imagenet", architecture="inception_v3", file="a.h5", suffix=".h5", bytes=3, sha256=SHA),
    Opening(number=1, run="r", trial=0, epochs=3, dataset_digest=SHA, opened=AT, why="because"),
    ModelCard(
        run="r",
        study="s",
        instrument=MRUST,
        chosen=Chosen(trial=0, epochs=3, by="rustk", val_auroc=0.5),
        hyperparameters={},
        in_effect={},
        model={},
        model_sha256=SHA,
        weights=NamedWeights(name="random"),
        data=CardData(dataset="d", digest=SHA, image_shape=(8, 8, 1)),
        sites_by_view={"ap": ("medial",)},
        seeds={"study": 0},
        device="cpu",
        versions={},
        limits=("none",),
    ),
]
KINDS = [type(document).__name__ for document in DOCUMENTS]


@pytest.mark.parametrize("document", DOCUMENTS, ids=KINDS)
def test_a_document_comes_back_as_it_was(document: Document) -> None:
    store = MemoryStore()
    write_document(store, "key.json", document)
    assert read_document(store, "key.json", type(document)) == document
    assert store.read("key.json").endswith(b"}\n")
    with pytest.raises(KeyMissing):
        read_document(store, "other.json", type(document))


@pytest.mark.parametrize("document", DOCUMENTS, ids=KINDS)
def test_a_later_version_s_fields_are_passed_over(document: Document) -> None:
    fields = json.loads(encode_document(document))
    fields["added_later"] = {"a": [1]}
    assert parse_document(type(document), json.dumps(fields).encode(), "x.json") == document


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**12, 10**40, -1, 0, 10**4000, 1e308])
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["..", "../x", "a/b", "/etc", "big", SHA, "2025-01-31T00:00:00Z", "\ud800", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The path of every value of a document, its sections' and lists' included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=KINDS)
@settings(max_examples=60)
@given(data=st.data(), value=_JSON)
def test_any_value_in_any_place_is_read_or_refused(document: Document, data: st.DataObject, value: Any) -> None:
    fields = json.loads(encode_document(document))
    place = data.draw(st.sampled_from(places(fields)))
    if place:
        at = fields
        for part in place[:-1]:
            at = at[part]
        at[place[-1]] = value
    else:
        fields = value
    shown = "x.json: "
    try:
        read = parse_document(type(document), json.dumps(fields).encode(), "x.json")
    except BadData as error:
        shown = str(error)
    else:
        assert parse_document(type(document), encode_document(read), "x.json") == read
    assert shown.startswith("x.json: ")


@pytest.mark.parametrize("document", DOCUMENTS, ids=KINDS)
def test_a_missing_field_has_a_default_or_is_named(document: Document) -> None:
    fields = json.loads(encode_document(document))
    for name in fields:
        less = {key: value for key, value in fields.items() if key != name}
        shown = f"x.json: {name}: missing"
        try:
            parse_document(type(document), json.dumps(less).encode(), "x.json")
        except BadData as error:
            shown = str(error)
        assert re.fullmatch(rf"x\.json: {name}: missing(: expected [a-z ]+)?", shown)


def changed(document: Document, path: str, value: Any) -> bytes:
    fields = copy.deepcopy(json.loads(encode_document(document)))
    at = fields
    *sections, last = path.split(".")
    for part in sections:
        at = at[int(part) if part.isdigit() else part]
    at[last] = value
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x.json: not JSON"),
        (b"{", "x.json: not JSON"),
        (b"\xff\xfe", "x.json: "),
        (b"null", "x.json: "),
        (b"5", "x.json: "),
        (b"[]", "x.json: "),
        (b"{}", "x.json: name: missing"),
        (b"[" * 100_000, "x.json: nested too deeply: expected at most 60 levels"),
        (b'{"name":' * 100_000, "x.json: nested too deeply: expected at most 60 levels"),
        (b'{"name": "a", "digest": ' + b"9" * 5000 + b"}", "x.json: "),
        (b'{"name": "a", "shards": [{"key": "b", "key": "c"}]}', "x.json: 'key' appears twice: expected it once"),
        (changed(DATASET, "schema", 2), "x.json: schema = 2: expected 1"),
        (changed(DATASET, "digest", 5), "x.json: digest = 5: expected text"),
        (changed(DATASET, "digest", "d"), "x.json: digest = 'd': expected a sha256, 64 digits"),
        (changed(DATASET, "image_shape", "big"), "x.json: image_shape = 'big': expected a"),
        (changed(DATASET, "image_shape", [8, 8]), "x.json: image_shape.2: missing"),
        (changed(DATASET, "image_shape", [8, 10**12, 1]), "x.json: image_shape.1 = 1000000000000: "),
        (changed(DATASET, "image_shape", [8, 8.5, 1]), "x.json: image_shape.1 = 8.5: "),
        (changed(DATASET, "shards", ["a"]), "x.json: shards.0 = 'a': "),
        (changed(DATASET, "shards", None), "x.json: shards = null: "),
        (changed(DATASET, "shards.0.key", "../../etc"), "x.json: shards.0.key = '../../etc': expected the name of a"),
        (changed(DATASET, "shards.0.key", "/etc/passwd"), "x.json: shards.0.key = '/etc/passwd': expected the name"),
        (changed(DATASET, "shards.0.split", "train"), "x.json: shards.0.split = 'train': expected 'develop'"),
        (changed(DATASET, "shards.0.records", -1), "x.json: shards.0.records = -1: "),
        (changed(DATASET, "shards.0.records", True), "x.json: shards.0.records = true: "),
        (changed(DATASET, "name", ".."), "x.json: name = '..': expected the name of the folder"),
        (changed(DATASET, "instrument.sites", []), "x.json: instrument.sites = []: "),
        (changed(DATASET, "instrument.sites.0.views", ["x"]), "x.json: instrument: sites.rim.views: 'x': "),
    ],
)
def test_a_damaged_dataset_is_one_line(data: bytes, message: str) -> None:
    with pytest.raises(BadData) as caught:
        parse_document(DatasetDocument, data, "x.json")
    assert message in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("planned.folds", 10**12, "planned.folds = 1000000000000: expected at most 1000"),
        ("planned.trials", 10**12, "planned.trials = 1000000000000: "),
        ("planned.trials", 0, "planned.trials = 0: "),
        ("planned", None, "planned = null: "),
        ("study", None, "study = null: "),
        ("study", {}, "study.name: missing"),
        ("study.name", 5, "study.name = 5: "),
        ("study.model.head", "8", "study.model: head = '8': expected a list"),
        ("study.model.head", [8.5], "study.model: head.0 = 8.5: expected a whole number"),
        ("study.model.architecture", 7, "study.model: architecture = 7: expected text"),
        ("study.training.flips", "horizontal", "study.training: flips = 'horizontal': expected a list"),
        ("study.training.batch_size", "8", "study.training: batch_size = '8': expected a whole number"),
        ("study.training.label_smoothing", "a", "study.training: label_smoothing = 'a': expected a number"),
        ("study.folds.scheme", 3, "study.folds: scheme = 3: expected 'patient' or 'shard'"),
        ("dataset.name", "../x", "dataset.name = '../x': expected the name of a dataset"),
        ("planned_at", "yesterday", "planned_at = 'yesterday': "),
        ("planned_at", "2025-01-31T00:00:00", "planned_at = '2025-01-31T00:00:00': "),
    ],
)
def test_a_damaged_run_is_one_line(path: str, value: Any, message: str) -> None:
    with pytest.raises(BadData) as caught:
        parse_document(RunDocument, changed(DOCUMENTS[1], path, value), "x.json")
    assert f"x.json: {message}" in str(caught.value)


def test_what_others_published_may_hold_little() -> None:
    document = parse_document(RunDocument, b'{"study": {"name": "s"}, "planned": {"trials": 1, "folds": 2}}', "x.json")
    assert document.title == "s"
    assert document.dataset is None
    data = b'{"name": "s", "title": "T", "metric": "val_auroc"}'
    document = document.model_copy(update={"study": StudyPart.model_validate_json(data)})
    assert document.title == "T"
    assert NamedDigest(name="d").digest is None


def test_a_dataset_of_earlier_versions_is_scored_by_mrust() -> None:
    fields = json.loads(encode_document(DATASET))
    del fields["instrument"]
    assert parse_document(DatasetDocument, json.dumps(fields).encode(), "x.json").instrument == MRUST


def test_a_card_s_images_have_a_shape_that_images_have() -> None:
    card = next(document for document in DOCUMENTS if isinstance(document, ModelCard))
    with pytest.raises(BadData, match=r"x\.json: data\.image_shape\.0 = -1: expected at least 1"):
        parse_document(ModelCard, changed(card, "data.image_shape", [-1, 0, 1]), "x.json")
    with pytest.raises(
        BadData, match=r"x\.json: data\.preparation\.size = 96: expected 8, as data\.image_shape has it"
    ):
        parse_document(ModelCard, changed(card, "data.preparation", {"size": 96}), "x.json")
