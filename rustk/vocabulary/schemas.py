"""The columns of every Parquet file in the store (docs/store.md describes them in words)."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rustk.vocabulary.labels import CORTICES, LABELS

METRICS = ("loss", "auroc", "precision", "recall", "f1")
VAL_METRICS = tuple(f"val_{metric}" for metric in METRICS)

INDEX = pa.schema(
    [
        pa.field("sample_id", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),  # develop or test
        pa.field("patient", pa.string()),  # salted hash, or null where not known
        pa.field("visit", pa.string()),  # which visit of the patient, or null: joins the two views of one RUST total
        pa.field("view", pa.string(), nullable=False),
        *(pa.field(cortex, pa.int8()) for cortex in CORTICES),  # null: unscored
        pa.field("shard", pa.string(), nullable=False),
        pa.field("position", pa.int32(), nullable=False),  # of the record within its shard, from 0
        pa.field("image_sha256", pa.string(), nullable=False),  # of the PNG as stored
        pa.field("image_phash", pa.string()),  # 64 bits as 16 hex digits: near-duplicates differ in few
    ]
)

FOLDS = pa.schema([pa.field("sample_id", pa.string(), nullable=False), pa.field("fold", pa.int32(), nullable=False)])

HISTORY = pa.schema(
    [
        pa.field("epoch", pa.int32(), nullable=False),  # from 1
        *(pa.field(name, pa.float64(), nullable=False) for name in (*METRICS, *VAL_METRICS)),
        pa.field("seconds", pa.float64(), nullable=False),
    ]
)

PREDICTIONS = pa.schema(
    [
        pa.field("epoch", pa.int32(), nullable=False),
        pa.field("sample_id", pa.string(), nullable=False),
        *(pa.field(label, pa.float32(), nullable=False) for label in LABELS),
    ]
)

_METADATA = b"rustk"


def with_metadata(schema: pa.Schema, metadata: dict[str, Any]) -> pa.Schema:
    """The schema carrying `metadata` as JSON in the file's key-value metadata, under the key `rustk`."""
    return schema.with_metadata({_METADATA: json.dumps(metadata, sort_keys=True)})


def encode_parquet(table: pa.Table) -> bytes:
    """The table as the bytes of one Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def read_metadata(schema: pa.Schema) -> dict[str, Any]:
    """What `with_metadata` put there; empty for files that others wrote without it."""
    found: dict[str, Any] = json.loads((schema.metadata or {}).get(_METADATA, b"{}"))
    return found
