"""The columns of every Parquet file in the store (docs/store.md describes them in words)."""

import pyarrow as pa

from rustk.vocabulary.instrument import Instrument

METRICS = ("loss", "auroc", "precision", "recall", "f1")
VAL_METRICS = tuple(f"val_{metric}" for metric in METRICS)
# The studies' figure of merit: the one metric that a history must have.
MERIT = "val_auroc"

FOLDS = pa.schema([pa.field("sample_id", pa.string(), nullable=False), pa.field("fold", pa.int32(), nullable=False)])

HISTORY = pa.schema(
    [
        pa.field("epoch", pa.int32(), nullable=False),  # from 1
        *(pa.field(name, pa.float64(), nullable=False) for name in (*METRICS, *VAL_METRICS)),
        pa.field("seconds", pa.float64(), nullable=False),
    ]
)


def index_schema(instrument: Instrument) -> pa.Schema:
    """index.parquet: one row an image."""
    return pa.schema(
        [
            pa.field("sample_id", pa.string(), nullable=False),
            pa.field("split", pa.string(), nullable=False),  # develop or test
            pa.field("patient", pa.string()),  # salted hash, or null where not known
            pa.field("visit", pa.string()),  # which visit of the patient, or null: joins the views of one total
            pa.field("view", pa.string(), nullable=False),
            *(pa.field(site, pa.int8()) for site in instrument.site_names),  # null: unscored
            pa.field("shard", pa.string(), nullable=False),
            pa.field("position", pa.int32(), nullable=False),  # of the record within its shard, from 0
            pa.field("image_sha256", pa.string(), nullable=False),  # of the PNG as stored
            pa.field("image_phash", pa.string()),  # 64 bits as 16 hex digits: near-duplicates differ in few
        ]
    )


def predictions_schema(instrument: Instrument) -> pa.Schema:
    """predictions/: one row a validation image and epoch, a probability for each label."""
    return pa.schema(
        [
            pa.field("epoch", pa.int32(), nullable=False),
            pa.field("sample_id", pa.string(), nullable=False),
            *(pa.field(label, pa.float32(), nullable=False) for label in instrument.labels),
        ]
    )
