"""What a dataset holds, from its description and its index: splits, patients, and scores per view and cortex."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from rustk.vocabulary.labels import CORTICES, SCORES, VIEWS

SPLITS = ("develop", "test")


@dataclass(frozen=True)
class SplitSummary:
    split: str
    images: int
    patients: int | None  # None: no image says of whom it is
    images_without_patient: int
    images_per_patient: dict[int, int]  # images -> how many patients have so many
    views: dict[str, int]
    visits: dict[str, int]  # only those with a name: hashed ones say nothing


@dataclass(frozen=True)
class CortexSummary:
    """How often a cortex has each score in the images of one view of one split."""

    split: str
    view: str
    cortex: str
    images: int
    unscored: int
    scores: dict[int, int]


@dataclass(frozen=True)
class DatasetSummary:
    name: str
    digest: str
    image_shape: tuple[int, ...]
    preparation: dict[str, Any]
    source: dict[str, Any]
    skipped: int
    shards: int
    size_bytes: int
    splits: tuple[SplitSummary, ...]
    cortices: tuple[CortexSummary, ...]  # only the views that show a cortex at all
    patients_in_both_splits: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def summarise(dataset: Mapping[str, Any], index: pd.DataFrame) -> DatasetSummary:
    """Summarise a dataset from its dataset.json and its index.parquet; looks at no image."""
    sides = [set(index.loc[index["split"] == split, "patient"].dropna()) for split in SPLITS]
    return DatasetSummary(
        name=dataset["name"],
        digest=dataset["digest"],
        image_shape=tuple(dataset["image_shape"]),
        preparation=dict(dataset.get("preparation") or {}),
        source=dict(dataset.get("source") or {}),
        skipped=len(dataset.get("skipped") or ()),
        shards=len(dataset["shards"]),
        size_bytes=sum(int(shard["bytes"]) for shard in dataset["shards"]),
        splits=tuple(_summarise_split(split, index[index["split"] == split]) for split in SPLITS),
        cortices=tuple(_summarise_cortices(index)),
        patients_in_both_splits=len(sides[0] & sides[1]),
    )


def _summarise_split(split: str, rows: pd.DataFrame) -> SplitSummary:
    per_patient = rows["patient"].value_counts()
    visits = rows["visit"].value_counts() if "visit" in rows else pd.Series(dtype="int64")
    return SplitSummary(
        split=split,
        images=len(rows),
        patients=len(per_patient) or None,
        images_without_patient=int(rows["patient"].isna().sum()),
        images_per_patient={int(size): int(count) for size, count in per_patient.value_counts().sort_index().items()},
        views={view: int((rows["view"] == view).sum()) for view in VIEWS},
        visits={str(visit): int(count) for visit, count in visits.items() if not _is_hash(str(visit))},
    )


def _summarise_cortices(index: pd.DataFrame) -> list[CortexSummary]:
    found = []
    for split in SPLITS:
        for view in VIEWS:
            rows = index[(index["split"] == split) & (index["view"] == view)]
            for cortex in CORTICES:
                # Over both splits, so that the same lines stand for each of them.
                if index.loc[index["view"] == view, cortex].notna().any():
                    counts = rows[cortex].value_counts()
                    scores = {score: int(counts.get(score, 0)) for score in SCORES}
                    unscored = int(rows[cortex].isna().sum())
                    found.append(CortexSummary(split, view, cortex, len(rows), unscored, scores))
    return found


def _is_hash(visit: str) -> bool:
    return len(visit) == 16 and all(digit in "0123456789abcdef" for digit in visit)
