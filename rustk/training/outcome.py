"""What a training comes to, as tables: its history and its predictions, for a fold and for the final model alike."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from rustk.store.documents import HistoryMetadata, encode_document
from rustk.training.loop import Progress
from rustk.vocabulary.instrument import Instrument
from rustk.vocabulary.parquet import encode_parquet, with_metadata
from rustk.vocabulary.schemas import HISTORY, METRICS, predictions_schema


def encode_history(progress: Progress, metadata: HistoryMetadata) -> bytes:
    """The metrics of each epoch, on training and validation images; none of an epoch whose loss was not finite."""
    schema = with_metadata(HISTORY, encode_document(metadata))
    return encode_parquet(pa.Table.from_pylist(progress.rows, schema=schema))


def encode_training_history(progress: Progress) -> bytes:
    """The metrics of the training images by epoch, where there is no validation."""
    columns = ("epoch", *METRICS, "seconds")
    schema = pa.schema([HISTORY.field(name) for name in columns])
    rows = [{name: row[name] for name in columns} for row in progress.rows]
    return encode_parquet(pa.Table.from_pylist(rows, schema=schema))


def encode_predictions(
    instrument: Instrument,
    sample_ids: Sequence[str],
    by_epoch: Sequence[npt.NDArray[np.float32]],
    epochs: Sequence[int],
) -> bytes:
    """Probabilities float32 [images, labels] of the images `sample_ids` after each of `epochs`, epoch by epoch."""
    stacked = np.concatenate([np.zeros((0, len(instrument.labels)), np.float32), *by_epoch])
    columns: dict[str, Any] = {
        "epoch": np.repeat(np.array(epochs, dtype=np.int32), len(sample_ids)),
        "sample_id": pa.array(list(sample_ids) * len(epochs), pa.string()),
        **{label: stacked[:, number] for number, label in enumerate(instrument.labels)},
    }
    return encode_parquet(pa.table(columns, schema=predictions_schema(instrument)))
