"""A fold that was trained again, against its history; the histories are drawn from a seed."""

import json
from collections.abc import Callable

import pandas as pd
import pyarrow as pa
import pytest

from rustk.report.data.redone import Comparison, Difference, adopt_redone, compare_redone, last_number
from rustk.store.documents import Round, encode_document, now
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData
from rustk.vocabulary.parquet import read_metadata_bytes, read_parquet
from tests.report.planted import CLEAN, Shelf, parquet, plant

RUN = CLEAN.run
Change = Callable[[pd.DataFrame], object]


def redo(shelf: Shelf, history: Change | None = None, predictions: Change | None = None, **metadata: object) -> None:
    """Put a first retraining of trial 1 fold 2 there: a copy of the run's, changed."""
    number = last_number(shelf, RUN, 1, 2) + 1
    for own, new, change in (
        (names.history_key(RUN, 1, 2), names.redone_history_key(RUN, 1, 2, number), history),
        (names.prediction_key(RUN, 1, 2), names.redone_prediction_key(RUN, 1, 2, number), predictions),
    ):
        table = read_parquet(shelf.read(own), own)
        frame = table.to_pandas()
        changed = change(frame) if change is not None else None
        frame = changed if isinstance(changed, pd.DataFrame) else frame
        described = json.loads(read_metadata_bytes(table.schema)) | metadata if "history" in new or metadata else {}
        schema = pa.schema([field.with_nullable(True) for field in table.schema])
        shelf.write(new, parquet(pa.Table.from_pandas(frame, schema=schema, preserve_index=False), described))


@pytest.fixture
def shelf() -> Shelf:
    return plant(CLEAN)


def compared(shelf: Shelf) -> Comparison:
    return compare_redone(shelf, RUN, 1, 2, last_number(shelf, RUN, 1, 2))


def test_the_same_is_equal_bit_for_bit(shelf: Shelf) -> None:
    redo(shelf, lambda frame: frame.assign(seconds=99.0), lambda frame: frame.sample(frac=1, random_state=0))
    found = compared(shelf)
    assert found.equal
    assert (found.epochs, found.with_predictions) == (3, True)


def test_the_largest_difference_is_found_in_its_epoch(shelf: Shelf) -> None:
    def change(frame: pd.DataFrame) -> None:
        frame.loc[1, "val_auroc"] += 0.25
        frame.loc[2, "val_auroc"] -= 0.125
        frame.loc[2, "loss"] += 2**-30

    def predict(frame: pd.DataFrame) -> None:
        frame.iloc[-1, -1] = 1 - frame.iloc[-1, -1]

    before = read_parquet(shelf.read(names.prediction_key(RUN, 1, 2)), "predictions").to_pandas().iloc[-1]
    redo(shelf, change, predict)
    found = compared(shelf)
    assert not found.equal
    sizes = {one.metric: (one.size, one.epoch) for one in found.differences}
    assert sizes["val_auroc"] == (pytest.approx(0.25), 2)
    assert sizes["loss"] == (pytest.approx(2**-30, abs=1e-12), 3)
    assert sizes["predictions"][0] == pytest.approx(abs(1 - 2 * before.iloc[-1]), rel=1e-6)
    assert [one.size for one in found.differences] == sorted((one.size for one in found.differences), reverse=True)


def test_a_value_that_one_of_the_two_lacks_is_a_difference(shelf: Shelf) -> None:
    redo(shelf, lambda frame: frame.assign(val_loss=frame["val_loss"].mask(frame["epoch"] == 2)))
    assert compared(shelf).differences == (Difference("val_loss", float("inf"), 2),)


def test_another_length_and_another_setting_are_told(shelf: Shelf) -> None:
    redo(shelf, lambda frame: frame[:2], versions={"rustk": "0.1", "keras": "4"}, device="gpu")
    found = compared(shelf)
    assert found.shape == "the run's history has 3 epochs, the new one 2"
    assert "keras 3.15 then, 4 now" in found.setting
    assert "device cpu then, gpu now" in found.setting
    assert "another digest of the weights" not in found.setting


def test_adopted_the_former_is_kept(shelf: Shelf) -> None:
    own = names.history_key(RUN, 1, 2)
    before = shelf.read(own)
    redo(shelf, lambda frame: frame.assign(val_auroc=0.5))
    adopt_redone(shelf, RUN, 1, 2, 1)
    assert shelf.read(own) == shelf.read(names.redone_history_key(RUN, 1, 2, 1)) != before
    assert shelf.read(names.redone_history_key(RUN, 1, 2, 0)) == before
    redo(shelf, lambda frame: frame.assign(val_auroc=0.25))
    adopt_redone(shelf, RUN, 1, 2, 2)
    assert shelf.read(names.redone_history_key(RUN, 1, 2, 0)) == before, "the first one is the one to keep"


def test_what_a_round_was_decided_on_stays(shelf: Shelf) -> None:
    redo(shelf)
    before = dict(shelf.objects)
    path = names.fold_path(1, 2)
    decided = Round(
        number=1,
        trials=(0, 1),
        folds=(2,),
        kept=(0, 1),
        histories={path: "0" * 64},
        decided_at=now(),
        figures={0: 0.5, 1: 0.5},
    )
    shelf.write(names.round_key(RUN, 1), encode_document(decided))
    with pytest.raises(BadData, match="round 1 was decided on the history of trial 1 fold 2"):
        adopt_redone(shelf, RUN, 1, 2, 1)
    shelf.delete(names.round_key(RUN, 1))
    assert shelf.objects == before
