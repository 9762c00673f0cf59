"""A damaged store, or one that others wrote: every fault ends in one line that names the file, none in a traceback."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from rustk.report.data.aggregate import aggregate
from rustk.report.data.results import load_run
from rustk.report.evaluation.analysis import analyse
from rustk.report.evaluation.sealed import load_sealed_test
from rustk.store.datasets import digest_of
from rustk.store.documents import DatasetDocument, read_document
from rustk.vocabulary import names
from rustk.vocabulary.errors import RustkError
from rustk.vocabulary.instrument import Instrument, Site
from rustk.vocabulary.parquet import encode_parquet, read_parquet
from tests.instruments import MRUST
from tests.report.planted import Plan, Shelf, parquet, plant

# Six labels only, for each of these is a whole analysis.
SMALL = Instrument(
    name="small",
    title="A small instrument",
    views=("a", "b"),
    sites=(Site(name="upper", scores=(0, 1), views=("a",)), Site(name="lower", scores=(0, 1), views=("b",))),
)
PLAN = Plan(run="small-00000001", instrument=SMALL, patients=24, folds=2, epochs=2)
RUN = PLAN.run
STUDY, TRIALS, FOLDS = names.run_study_key(RUN), names.trials_key(RUN), names.folds_key(RUN)
HISTORY, PREDICTION = names.history_key(RUN, 1, 0), names.prediction_key(RUN, 0, 1)
DATASET, INDEX = names.dataset_key("phantom"), names.dataset_index_key("phantom")
OPENING, CARD = names.opening_key("phantom", 1), names.model_card_key(RUN)

Damage = Callable[[Shelf], None]


@pytest.fixture(scope="module")
def whole() -> dict[str, bytes]:
    return plant(PLAN).objects


def raw(key: str, data: bytes) -> Damage:
    return lambda shelf: shelf.write(key, data)


def fields(key: str, /, **changed: Any) -> Damage:
    return lambda shelf: shelf.put_document(key, **changed)


def part(key: str, section: str, /, **changed: Any) -> Damage:
    """Change fields of a section of a document."""

    def damage(shelf: Shelf) -> None:
        document = json.loads(shelf.read(key))
        shelf.put_document(key, **{section: {**document[section], **changed}})

    return damage


def of_study(section: str, /, **changed: Any) -> Damage:
    """Change fields of a section of the study in study.json."""

    def damage(shelf: Shelf) -> None:
        study = json.loads(shelf.read(STUDY))["study"]
        shelf.put_document(STUDY, study={**study, section: {**study[section], **changed}})

    return damage


def columns(key: str, /, **changed: Any) -> Damage:
    """Set columns of a Parquet file; None drops one."""

    def damage(shelf: Shelf) -> None:
        table = read_parquet(shelf.read(key), key)
        for name, values in changed.items():
            place = table.column_names.index(name) if name in table.column_names else None
            if place is not None:
                table = table.remove_column(place)
            if values is not None:
                filled = values if isinstance(values, pa.Array) else pa.array([*values][: table.num_rows])
                table = table.add_column(place or 0, name, filled)
        write(shelf, key, table)

    return damage


def edit(key: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Damage:
    def damage(shelf: Shelf) -> None:
        changed = change(read_parquet(shelf.read(key), key).to_pandas())
        write(shelf, key, pa.Table.from_pandas(changed, preserve_index=False))

    return damage


def write(shelf: Shelf, key: str, table: pa.Table) -> None:
    """Write the file, and its digests where dataset.json holds them: what is in the file is to be found out."""
    shelf.write(key, encode_parquet(table))
    if key == INDEX:
        shelf.put_document(DATASET, index_sha256=hashlib.sha256(shelf.read(key)).hexdigest())
        shelf.put_document(DATASET, digest=digest_of(read_document(shelf, DATASET, DatasetDocument)))
        shelf.put_document(STUDY, dataset={"name": "phantom"})


def both(*damages: Damage) -> Damage:
    def damage(shelf: Shelf) -> None:
        for one in damages:
            one(shelf)

    return damage


def cut(key: str) -> Damage:
    return lambda shelf: shelf.write(key, shelf.read(key)[:-20])


def first(column: str, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        values = frame[column].tolist()
        return frame.assign(**{column: [value, *values[1:]]})

    return change


DEEP = b"[" * 100_000 + b"]" * 100_000
DIGITS = b'{"schema": 1, "study": {"name": "x"}, "planned": {"trials": ' + b"9" * 5000 + b', "folds": 2}}'
LOOK = {"schema": 1, "number": 1, "run": "x", "trial": 0, "epochs": 1, "dataset_digest": "0", "why": None}

REFUSED: dict[str, tuple[Damage, str]] = {
    # study.json
    "study empty": (raw(STUDY, b""), "study.json: "),
    "study null": (raw(STUDY, b"null"), "study.json: "),
    "study a list": (raw(STUDY, b"[1]"), "study.json: "),
    "study text": (raw(STUDY, b'"x"'), "study.json: "),
    "study latin-1": (raw(STUDY, '{"study": "é"}'.encode("latin-1")), "study.json: "),
    "study NaN": (
        raw(STUDY, b'{"study": {"name": "x"}, "planned": {"trials": NaN, "folds": 1}}'),
        "study.json: not JSON: NaN: expected a finite number",
    ),
    "study nested": (raw(STUDY, DEEP), "study.json: "),
    "study nested in model": (
        raw(STUDY, b'{"study": {"name": "x", "model": ' + DEEP + b'}, "planned": {"trials": 1, "folds": 1}}'),
        "study.json: ",
    ),
    "study of digits": (raw(STUDY, DIGITS), "study.json: not JSON"),
    "study of another schema": (fields(STUDY, schema=9), "study.json: schema"),
    "folds 10**12": (part(STUDY, "planned", folds=10**12), "study.json: planned.folds = 1000000000000"),
    "folds 0": (part(STUDY, "planned", folds=0), "study.json: planned.folds = 0"),
    "folds true": (part(STUDY, "planned", folds=True), "study.json: planned.folds = true"),
    "folds text": (part(STUDY, "planned", folds="2"), "study.json: planned.folds = '2'"),
    "folds 1.5": (part(STUDY, "planned", folds=1.5), "study.json: planned.folds = 1.5"),
    "trials -1": (part(STUDY, "planned", trials=-1), "study.json: planned.trials = -1"),
    "too much in all": (
        both(part(STUDY, "planned", trials=100_000, folds=1000), part(STUDY, "study", folds={})),
        "study.json: planned.trials = 100000",
    ),
    "planned a list": (fields(STUDY, planned=[2, 2]), "study.json: planned"),
    "name a number": (part(STUDY, "study", name=5), "study.json: study.name = 5"),
    "dataset a text": (fields(STUDY, dataset="phantom"), "study.json: dataset"),
    "dataset out of its folder": (fields(STUDY, dataset={"name": "../x"}), "study.json: dataset.name = '../x'"),
    "dataset's digest a number": (fields(STUDY, dataset={"name": "phantom", "digest": 5}), "dataset.digest = 5"),
    "dataset's digest a word": (
        fields(STUDY, dataset={"name": "phantom", "digest": "new"}),
        "study.json: dataset.digest = 'new': expected a sha256",
    ),
    "metric of another name": (part(STUDY, "study", metric="val_loss"), "study.json: study.metric = 'val_loss'"),
    "instrument of other scores": (
        fields(STUDY, instrument=Instrument.model_validate({**SMALL.model_dump(), "unscored": False}).model_dump()),
        "study.json: instrument has other views, sites or scores",
    ),
    "instrument without sites": (fields(STUDY, instrument={"name": "x"}), "study.json: instrument"),
    # trials.parquet
    "trials empty": (raw(TRIALS, b""), "trials.parquet: not a Parquet file"),
    "trials cut": (cut(TRIALS), "trials.parquet: not a Parquet file"),
    "trials gone": (lambda shelf: shelf.delete(TRIALS), "trials.parquet is not in the store"),
    "trial NaN": (columns(TRIALS, trial=[0.0, float("nan")]), "trials.parquet: column trial"),
    "trial null": (columns(TRIALS, trial=pa.array([0, None], pa.int64())), "trials.parquet: column trial has 1 null"),
    "trial text": (columns(TRIALS, trial=["0", "1"]), "trials.parquet: column trial is string"),
    "trial true": (columns(TRIALS, trial=[False, True]), "trials.parquet: column trial is bool"),
    "trial negative": (columns(TRIALS, trial=[-1, 0]), "trials.parquet: column trial has -1"),
    "trial huge": (columns(TRIALS, trial=pa.array([0, 2**63], pa.uint64())), "trials.parquet: column trial is uint64"),
    "trial twice": (columns(TRIALS, trial=[0, 0]), "trials.parquet: "),
    "trial of another number": (columns(TRIALS, trial=[0, 7]), "trials.parquet has no trial 1"),
    "no trial column": (columns(TRIALS, trial=None), "trials.parquet: column trial is missing"),
    "hyperparameter a list": (columns(TRIALS, rate=[[1.0], [2.0]]), "trials.parquet: column 'rate' is list"),
    "hyperparameter a struct": (columns(TRIALS, rate=[{"a": 1}, {"a": 2}]), "trials.parquet: column 'rate' is struct"),
    "hyperparameter bytes": (columns(TRIALS, rate=[b"a", b"b"]), "trials.parquet: column 'rate' is binary"),
    "hyperparameter a date": (
        columns(TRIALS, rate=pa.array(np.array(["2024", "2025"], "M8[D]"))),
        "column 'rate' is date32",
    ),
    "hyperparameter called epoch": (columns(TRIALS, epoch=[1, 2]), "trials.parquet: column 'epoch'"),
    "hyperparameter called val_auroc": (columns(TRIALS, val_auroc=[1.0, 2.0]), "column 'val_auroc'"),
    "hyperparameter twice": (
        lambda shelf: write(shelf, TRIALS, pa.table([[0, 1], [1, 2], [3, 4]], names=["trial", "a", "a"])),
        "trials.parquet: column 'a' appears twice",
    ),
    "trials that the search does not have": (
        part(STUDY, "study", search={"kind": "grid", "parameters": {"training.learning_rate": [0.5, 0.25]}}),
        "trials.parquet: column learning_rate has ",
    ),
    "no column of what is searched": (
        part(STUDY, "study", search={"kind": "grid", "parameters": {"training.label_smoothing": [0.5, 0.25]}}),
        "trials.parquet: column label_smoothing is missing: study.search of study.json varies it: put back",
    ),
    "folds other than the study's": (
        part(STUDY, "study", folds={"k": 7}),
        "study.json: planned.folds = 2: expected 7, as study.folds.k has it",
    ),
    # histories
    "history empty": (raw(HISTORY, b""), "fold=0.parquet: not a Parquet file"),
    "history cut": (cut(HISTORY), "fold=0.parquet: not a Parquet file"),
    "history zeros": (raw(HISTORY, b"\0" * 500), "fold=0.parquet: not a Parquet file"),
    "history without merit": (columns(HISTORY, val_auroc=None), "column val_auroc is missing"),
    "history without epochs": (columns(HISTORY, epoch=None), "column epoch is missing"),
    "history of text": (columns(HISTORY, loss=["a", "b"]), "fold=0.parquet: column loss is string"),
    "merit of text": (columns(HISTORY, val_auroc=["0.5", "0.6"]), "fold=0.parquet: column val_auroc is string"),
    "merit of booleans": (columns(HISTORY, val_auroc=[True, False]), "fold=0.parquet: column val_auroc is bool"),
    "merit infinite": (columns(HISTORY, val_auroc=[0.5, float("inf")]), "fold=0.parquet: column val_auroc is inf"),
    "merit -infinite": (columns(HISTORY, val_auroc=[0.5, float("-inf")]), "fold=0.parquet: column val_auroc is -inf"),
    "merit in percent": (columns(HISTORY, val_auroc=[50.0, 60.0]), "fold=0.parquet: column val_auroc is"),
    "recall of -1": (columns(HISTORY, recall=[-1.0, 0.5]), "fold=0.parquet: column recall is"),
    "epoch negative": (columns(HISTORY, epoch=[-1, 1]), "fold=0.parquet: column epoch has -1"),
    "epoch huge": (columns(HISTORY, epoch=[1, 10**12]), "fold=0.parquet: column epoch has 1000000000000"),
    "epoch of dates": (
        columns(HISTORY, epoch=pa.array(np.array([1, 2], "M8[D]"))),
        "fold=0.parquet: column epoch is date32",
    ),
    "epoch a list": (columns(HISTORY, epoch=[[1], [2]]), "fold=0.parquet: column epoch is list"),
    "epoch null": (columns(HISTORY, epoch=pa.nulls(2)), "fold=0.parquet: column epoch has 2 nulls"),
    "trial of another": (columns(HISTORY, trial=[0, 0]), "column trial does not say 1"),
    "metadata a list": (lambda shelf: described(shelf, b"[]"), "fold=0.parquet: its metadata: "),
    "metadata of bytes": (lambda shelf: described(shelf, b"\xff\xfe"), "fold=0.parquet: its metadata: "),
    "metadata nested": (lambda shelf: described(shelf, DEEP), "fold=0.parquet: its metadata: "),
    "metadata of another fold": (
        lambda shelf: described(shelf, b'{"trial": 7}'),
        "its metadata has trial 7: expected 1",
    ),
    "metadata of another run": (
        lambda shelf: described(shelf, b'{"run": "another"}'),
        "its metadata has run 'another': expected",
    ),
    "history that ends early": (
        lambda shelf: described(shelf, b'{"outcome": "completed"}', rows=1),
        "fold=0.parquet: has 1 epoch: expected 2, for its metadata has outcome completed: put back",
    ),
    "metadata that diverged later": (
        lambda shelf: described(shelf, b'{"outcome": "diverged", "diverged_epoch": 9}'),
        "its metadata has diverged_epoch 9: expected at most 2, the epochs that were planned",
    ),
    "metadata that completed and diverged": (
        lambda shelf: described(shelf, b'{"outcome": "completed", "diverged_epoch": 2}'),
        "its metadata has diverged_epoch 2 beside outcome completed: expected one of the two",
    ),
    "metadata of another dataset": (
        lambda shelf: described(shelf, json.dumps({"digests": {"dataset": "0" * 64}}).encode()),
        "its metadata has digests.dataset '0000",
    ),
    "metadata of other weights": (
        both(
            fields(STUDY, weights={"name": "imagenet", "sha256": "ab" * 32}),
            lambda shelf: described(shelf, json.dumps({"digests": {"weights": "b" * 64}}).encode()),
        ),
        "its metadata has digests.weights 'bbbb",
    ),
    "metadata of another seed": (
        lambda shelf: described(shelf, b'{"seeds": {"study": 999}}'),
        "its metadata has seeds.study 999: expected ",
    ),
    "metadata of another trial's hyperparameters": (
        lambda shelf: described(shelf, b'{"hyperparameters": {"learning_rate": 0.5}}'),
        "its metadata has hyperparameters.learning_rate 0.5: expected ",
    ),
    "history that goes on too long": (
        both(part(STUDY, "planned", epochs=1), of_study("training", epochs=1)),
        "has 2 epochs: expected at most 1, as study.json plans them",
    ),
    "weights of another name": (
        fields(STUDY, weights={"name": "random", "sha256": None}),
        "study.json: weights.name = 'random': expected 'imagenet', as study.model.weights",
    ),
    "random weights with a file": (
        both(
            fields(STUDY, weights={"name": "random", "sha256": "ab" * 32}),
            of_study("model", weights="random"),
        ),
        "expected null, for random has no file",
    ),
    "metadata of no hyperparameter": (
        lambda shelf: described(shelf, b'{"in_effect": {"epsilon": [1]}}'),
        "its metadata: in_effect.epsilon = [1]",
    ),
    "metadata of an outcome": (lambda shelf: described(shelf, b'{"outcome": 5}'), "its metadata: outcome = 5"),
    "history of a fold too many": (raw(names.history_key(RUN, 0, 2), b""), "fold=2.parquet: fold 2, but study.json"),
    "history in no place": (raw(f"runs/{RUN}/histories/x.parquet", b""), "x.parquet: not the name of a fold's file"),
    # folds.parquet
    "folds empty": (raw(FOLDS, b""), "folds.parquet: not a Parquet file"),
    "folds without rows": (edit(FOLDS, lambda frame: frame.head(0)), "folds.parquet"),
    "fold 7": (edit(FOLDS, first("fold", 7)), "folds.parquet: column fold has 7"),
    "fold -1": (edit(FOLDS, first("fold", -1)), "folds.parquet: column fold has -1"),
    "fold NaN": (edit(FOLDS, first("fold", float("nan"))), "folds.parquet: column fold"),
    "sample null": (edit(FOLDS, first("sample_id", None)), "folds.parquet: column sample_id has 1 null"),
    "sample numbers": (edit(FOLDS, lambda frame: frame.assign(sample_id=range(len(frame)))), "folds.parquet: column"),
    "sample twice": (edit(FOLDS, lambda frame: pd.concat([frame, frame.head(1)])), f"{FOLDS}: sample 'image"),
    "sample of nowhere": (
        edit(FOLDS, first("sample_id", "nowhere\n\x1b[31m")),
        "is not in the develop split of the dataset's index: expected the images of that split: put back the file",
    ),
    # predictions
    "predictions empty": (raw(PREDICTION, b""), "fold=1.parquet: not a Parquet file"),
    "prediction NaN": (
        edit(PREDICTION, lambda f: f.assign(upper_1=np.float32("nan"))),
        "upper_1 = nan: ",
    ),
    "prediction infinite": (
        edit(PREDICTION, lambda f: f.assign(upper_1=np.float32("inf"))),
        "upper_1 = inf: ",
    ),
    "prediction of 7": (
        edit(PREDICTION, lambda f: f.assign(upper_1=np.float32(7))),
        "upper_1 = 7: expected a prob",
    ),
    "prediction of text": (edit(PREDICTION, lambda f: f.assign(upper_1="x")), "column upper_1 is"),
    "prediction without a label": (
        edit(PREDICTION, lambda f: f.drop(columns="upper_1")),
        "column upper_1 is missing",
    ),
    "prediction of no sample": (edit(PREDICTION, lambda f: f.assign(sample_id=None)), "column sample_id has"),
    "prediction of strangers": (edit(PREDICTION, lambda f: f.assign(sample_id="x")), "is in no fold"),
    "prediction twice": (edit(PREDICTION, lambda f: pd.concat([f, f])), "is predicted twice"),
    "prediction without rows": (edit(PREDICTION, lambda f: f.head(0)), "has no prediction"),
    "prediction of another fold": (
        lambda shelf: shelf.write(PREDICTION, shelf.read(names.prediction_key(RUN, 0, 0))),
        "is predicted",
    ),
    # dataset.json and index.parquet
    "dataset null": (raw(DATASET, b"null"), "dataset.json: "),
    "dataset empty": (raw(DATASET, b""), "dataset.json: "),
    "dataset nested": (raw(DATASET, DEEP), "dataset.json: "),
    "shards of text": (fields(DATASET, shards=["a"]), "dataset.json: shards"),
    "shard out of its folder": (
        fields(DATASET, shards=[{"key": "../x", "split": "test", "records": 1, "bytes": 1, "sha256": "0" * 64}]),
        "dataset.json: shards",
    ),
    "digest a number": (fields(DATASET, digest=5), "dataset.json: digest = 5"),
    "image shape a text": (fields(DATASET, image_shape="big"), "dataset.json: image_shape = 'big'"),
    "image shape huge": (fields(DATASET, image_shape=[10**12, 1, 1]), "dataset.json: image_shape"),
    "images of another size": (
        fields(DATASET, preparation={"size": 5}),
        "dataset.json: preparation.size = 5: expected",
    ),
    "another dataset's": (fields(DATASET, name="other"), "dataset.json: name = 'other'"),
    "instrument null": (fields(DATASET, instrument=None), "dataset.json: instrument"),
    "index empty": (raw(INDEX, b""), "index.parquet has sha256"),
    "index of another": (raw(INDEX, b"another"), "index.parquet has sha256"),
    "digest of another index": (fields(DATASET, index_sha256="0" * 64), "index and instrument has the digest"),
    "image shape of another": (fields(DATASET, image_shape=[96, 96, 1]), "dataset.json: digest = "),
    "instrument of another": (fields(DATASET, instrument=MRUST.model_dump(mode="json")), "dataset.json: digest = "),
    "index without views": (columns(INDEX, view=None), "index.parquet: column view is missing"),
    "index with another view": (edit(INDEX, lambda f: f.assign(view="oblique")), "view = 'oblique'"),
    "index with a score of 9": (edit(INDEX, lambda f: f.assign(upper=9)), "upper = 9"),
    "index with half a score": (edit(INDEX, lambda f: f.assign(upper=1.5)), "index.parquet: column upper"),
    "index with a sample twice": (edit(INDEX, lambda f: pd.concat([f, f])), "appears twice"),
    "index with a hash that is none": (edit(INDEX, lambda f: f.assign(image_phash="xyz")), "image_phash 'xyz'"),
    "index with a negative hash": (edit(INDEX, lambda f: f.assign(image_phash="-5")), "image_phash '-5'"),
    # the seal
    "opening null": (raw(OPENING, b"null"), "0001.json: "),
    "opening without a time": (raw(OPENING, json.dumps(LOOK).encode()), "0001.json: opened: missing"),
    "opening of yesterday": (
        raw(OPENING, json.dumps({**LOOK, "opened": "yesterday"}).encode()),
        "0001.json: opened = 'yesterday': expected a date and time with its zone",
    ),
    "opening without a zone": (
        raw(OPENING, json.dumps({**LOOK, "opened": "2024-05-01T10:00:00"}).encode()),
        "0001.json: opened = '2024-05-01T10:00:00': expected a date and time with its zone",
    ),
    "card null": (raw(CARD, b"null"), "card.json: "),
    "card of little": (raw(CARD, b'{"chosen": 5}'), "card.json: "),
}


def described(shelf: Shelf, metadata: bytes, rows: int | None = None) -> None:
    table = read_parquet(shelf.read(HISTORY), HISTORY).slice(0, rows)
    write(shelf, HISTORY, table.replace_schema_metadata({b"rustk": metadata}))


def everything(shelf: Shelf, run: str = RUN) -> None:
    load_sealed_test(shelf, run)
    analyse(aggregate(load_run(shelf, run), allow_partial=True))


def test_the_store_is_whole_before_it_is_damaged(whole: dict[str, bytes]) -> None:
    everything(Shelf(dict(whole)))


@pytest.mark.parametrize("name", REFUSED)
def test_a_damaged_store_is_refused_in_one_line_that_names_the_file(whole: dict[str, bytes], name: str) -> None:
    damage, words = REFUSED[name]
    shelf = Shelf(dict(whole))
    damage(shelf)
    with pytest.raises(RustkError) as caught:
        everything(shelf)
    message = str(caught.value)
    assert words in message
    assert message.isprintable()
    assert len(message) < 600


ACCEPTED: dict[str, Damage] = {
    "history without rows": edit(HISTORY, lambda frame: frame.head(0)),
    "no file of a trial": lambda shelf: [shelf.delete(names.history_key(RUN, 1, f)) for f in range(2)] and None,
    "loss infinite": columns(HISTORY, loss=[0.5, float("inf")]),
    "hyperparameter NaN": columns(TRIALS, rate=[1.0, float("nan")]),
    "hyperparameter infinite": columns(TRIALS, rate=[1.0, float("inf")]),
    "hyperparameter of nulls": columns(TRIALS, rate=pa.nulls(2)),
    "hyperparameter of text": columns(TRIALS, optimizer=["adam", "sgd"]),
    "hyperparameter of booleans": columns(TRIALS, augment=[True, False]),
    "hyperparameter of half floats": columns(TRIALS, rate=np.array([0.5, 0.25], np.float16)),
    "hyperparameter of categories": columns(TRIALS, kind=pa.array(["a", "b"]).dictionary_encode()),
    "no metadata": lambda shelf: described(shelf, b"{}"),
    "metadata of a later version": lambda shelf: described(shelf, b'{"schema": 1, "novelty": [1, {"a": null}]}'),
    "more columns": columns(HISTORY, novelty=["a", "b"]),
    "no folds.parquet": lambda shelf: shelf.delete(FOLDS),
    "no index": lambda shelf: shelf.delete(INDEX),
    "no patients": edit(INDEX, lambda frame: frame.assign(patient=None, visit=None)),
    "no test split": edit(INDEX, lambda frame: frame[frame["split"] == "develop"]),
    "a site that nobody scored": edit(INDEX, lambda frame: frame.assign(upper=None)),
    "one view only": both(
        edit(INDEX, lambda frame: frame[(frame["view"] == "a") | (frame["split"] == "test")]),
        lambda shelf: keep(shelf, "a"),
    ),
    "study with more in it": part(STUDY, "study", novelty={"a": [1, 2]}),
}


def keep(shelf: Shelf, view: str) -> None:
    """Folds and predictions of one view's images only."""
    index = read_parquet(shelf.read(INDEX), INDEX).to_pandas()
    kept = set(index.loc[index["view"] == view, "sample_id"])
    for key in (FOLDS, *(entry.key for entry in shelf.list(names.predictions_prefix(RUN)))):
        frame = read_parquet(shelf.read(key), key).to_pandas()
        shelf.write(key, parquet(frame[frame["sample_id"].isin(kept)]))


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_others_may_write_is_read(whole: dict[str, bytes], name: str) -> None:
    shelf = Shelf(dict(whole))
    ACCEPTED[name](shelf)
    everything(shelf)


@pytest.mark.parametrize(
    "run", ["..", "../x", "", "/", "small-00000001/", "a/../small-00000001", "x\n", ".", "x" * 300]
)
def test_what_can_not_be_a_run_is_refused(whole: dict[str, bytes], run: str) -> None:
    with pytest.raises(RustkError, match="can't be a run"):
        everything(Shelf(dict(whole)), run)
