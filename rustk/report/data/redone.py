"""A fold that was trained again, held against the run's own history: what differs, and by how much at most."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rustk.report.data.histories import ALL_METRICS
from rustk.store.base import Store
from rustk.store.documents import HistoryMetadata, parse_document
from rustk.store.remedies import advised
from rustk.store.rounds import read_rounds
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData
from rustk.vocabulary.parquet import read_metadata_bytes, read_parquet

PREDICTIONS = "predictions"
_KEYS = ("epoch", "sample_id")


@dataclass(frozen=True)
class Difference:
    """The largest absolute difference of one metric, and the epoch at which it is."""

    metric: str
    size: float
    epoch: int


@dataclass(frozen=True)
class Comparison:
    """Two histories of one fold. differences: of what both have, the largest first; none where all values are equal.

    shape: why rows can't be compared one by one; empty where they can. setting: what differs in versions, device and
    digests, in words.
    """

    epochs: int
    with_predictions: bool
    differences: tuple[Difference, ...]
    shape: str
    setting: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether every metric of every epoch, and every prediction, is equal bit for bit."""
        return not self.differences and not self.shape


def last_number(store: Store, run: str, trial: int, fold: int) -> int:
    """How often a fold was trained again."""
    prefix = names.redone_prefix(run, trial, fold)
    found = [entry.key.removeprefix(prefix).removesuffix(".parquet") for entry in store.list(prefix)]
    return max((int(name) for name in found if name.isdecimal()), default=0)


def compare_redone(store: Store, run: str, trial: int, fold: int, number: int) -> Comparison:
    """Hold the `number`-th retraining of a fold against the run's history. Raises KeyMissing or BadData."""
    keys = (names.history_key(run, trial, fold), names.redone_history_key(run, trial, fold, number))
    (ours, our_metadata), (new, new_metadata) = (_read_history(store, key) for key in keys)
    setting = _setting(our_metadata, new_metadata)
    epochs = min(ours.num_rows, new.num_rows)
    if ours["epoch"].to_pylist() != new["epoch"].to_pylist():
        shape = f"the run's history has {ours.num_rows} epochs, the new one {new.num_rows}"
        return Comparison(epochs, False, (), shape, setting)
    metrics = [name for name in ALL_METRICS if name in ours.schema.names and name in new.schema.names]
    found = [_largest(name, ours[name], new[name], ours["epoch"]) for name in metrics]
    predicted = (names.prediction_key(run, trial, fold), names.redone_prediction_key(run, trial, fold, number))
    there = all(map(store.exists, predicted))
    old, again = (_read_predictions(store, key) for key in predicted) if there else (None, None)
    shape = ""
    if old is not None and again is not None:
        if old.schema.names != again.schema.names or any(not old[key].equals(again[key]) for key in _KEYS):
            shape = "the two have predictions of other images or labels"
        else:
            labels = [name for name in old.schema.names if name not in _KEYS]
            apart = [_largest(PREDICTIONS, old[name], again[name], old["epoch"]) for name in labels]
            found.append(max((one for one in apart if one is not None), key=lambda one: one.size, default=None))
    differences = sorted((one for one in found if one is not None), key=lambda one: -one.size)
    return Comparison(epochs, there, tuple(differences), shape, setting)


def _read_predictions(store: Store, key: str) -> pa.Table:
    with advised(key):
        return read_parquet(store.read(key), key).sort_by([(name, "ascending") for name in _KEYS])


def adopt_redone(store: Store, run: str, trial: int, fold: int, number: int) -> None:
    """Make the `number`-th retraining the run's; what it replaces is kept as number 0, unless an earlier one is there.

    Raises BadData where a round of a search was decided on the history that is there.
    """
    path = names.fold_path(trial, fold)
    for decided in read_rounds(store, run):
        if path in decided.histories or path in decided.predictions:
            raise BadData(
                f"run {run}: round {decided.number} was decided on the history of trial {trial} fold {fold}, and what "
                "followed rests on it: it can't be replaced; the new one stays beside it"
            )
    first = names.redone_history_key(run, trial, fold, 0)
    if not store.exists(first):
        for kept, own in (
            (names.redone_prediction_key(run, trial, fold, 0), names.prediction_key(run, trial, fold)),
            (first, names.history_key(run, trial, fold)),
        ):
            if store.exists(own):
                store.write(kept, store.read(own))
    store.write(
        names.prediction_key(run, trial, fold), store.read(names.redone_prediction_key(run, trial, fold, number))
    )
    store.write(names.history_key(run, trial, fold), store.read(names.redone_history_key(run, trial, fold, number)))


def _read_history(store: Store, key: str) -> tuple[pa.Table, HistoryMetadata]:
    with advised(key):
        table = read_parquet(store.read(key), key)
        return table.sort_by("epoch"), parse_document(HistoryMetadata, read_metadata_bytes(table.schema), key)


def _largest(name: str, ours: pa.ChunkedArray, new: pa.ChunkedArray, epochs: pa.ChunkedArray) -> Difference | None:
    """None where all values are equal; both missing is equal, one missing is an infinite difference."""
    first, second = (np.asarray(pc.cast(column, pa.float64()).to_numpy()) for column in (ours, new))
    with np.errstate(invalid="ignore"):
        apart = np.abs(first - second)
    apart[np.isnan(first) & np.isnan(second)] = 0
    apart[(first == second)] = 0
    apart[np.isnan(apart)] = np.inf
    if not apart.any():
        return None
    at = int(apart.argmax())
    return Difference(name, float(apart[at]), int(epochs[at].as_py()))


def _setting(ours: HistoryMetadata, new: HistoryMetadata) -> tuple[str, ...]:
    named = sorted(ours.versions.keys() | new.versions.keys())
    then, today = ours.versions, new.versions
    found = [f"{n} {then.get(n)} then, {today.get(n)} now" for n in named if then.get(n) != today.get(n)]
    if ours.device != new.device:
        found.append(f"device {ours.device} then, {new.device} now")
    digests = sorted(ours.digests.keys() | new.digests.keys())
    found += [f"another digest of the {n}" for n in digests if ours.digests.get(n) != new.digests.get(n)]
    return tuple(found)
