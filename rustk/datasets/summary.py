"""What a dataset holds, from its description and its index: splits, patients, and scores per view and site."""

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from rustk.store.datasets import SPLITS
from rustk.store.documents import DatasetDocument
from rustk.vocabulary.instrument import Instrument, Site


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
class SiteSummary:
    """How often a site has each score in the images of one view of one split."""

    split: str
    view: str
    site: str
    images: int
    unscored: int
    scores: dict[int, int]


@dataclass(frozen=True)
class DatasetSummary:
    name: str
    instrument: str
    title: str  # the instrument's
    site_word: str  # what the instrument calls a site
    digest: str
    image_shape: tuple[int, ...]
    preparation: dict[str, Any]
    source: dict[str, Any]
    skipped: int
    shards: int
    size_bytes: int
    splits: tuple[SplitSummary, ...]
    sites: tuple[SiteSummary, ...]  # only the views that show a site at all
    patients_in_both_splits: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def summarise(dataset: DatasetDocument, index: pd.DataFrame) -> DatasetSummary:
    """Summarise a dataset from its description and its index.parquet; looks at no image."""
    sides = [set(index.loc[index["split"] == split, "patient"].dropna()) for split in SPLITS]
    instrument = dataset.instrument
    return DatasetSummary(
        name=dataset.name,
        instrument=instrument.name,
        title=instrument.title,
        site_word=instrument.words.site,
        digest=dataset.digest,
        image_shape=dataset.image_shape,
        preparation=dataset.preparation,
        source=dataset.source,
        skipped=len(dataset.skipped),
        shards=len(dataset.shards),
        size_bytes=sum(shard.bytes for shard in dataset.shards),
        splits=tuple(_summarise_split(split, index[index["split"] == split], instrument) for split in SPLITS),
        sites=tuple(_summarise_sites(index, instrument)),
        patients_in_both_splits=len(sides[0] & sides[1]),
    )


def _summarise_split(split: str, rows: pd.DataFrame, instrument: Instrument) -> SplitSummary:
    per_patient = rows["patient"].value_counts()
    visits = rows["visit"].value_counts() if "visit" in rows else pd.Series(dtype="int64")
    return SplitSummary(
        split=split,
        images=len(rows),
        patients=len(per_patient) or None,
        images_without_patient=int(rows["patient"].isna().sum()),
        images_per_patient={int(size): int(count) for size, count in per_patient.value_counts().sort_index().items()},
        views={view: int((rows["view"] == view).sum()) for view in instrument.views},
        visits={str(visit): int(count) for visit, count in visits.items() if not _is_hash(str(visit))},
    )


def _summarise_sites(index: pd.DataFrame, instrument: Instrument) -> list[SiteSummary]:
    # A view's sites over both splits, so that the same lines stand for each of them.
    shown = [
        (view, site)
        for view in instrument.views
        for site in instrument.sites
        if index.loc[index["view"] == view, site.name].notna().any()
    ]
    return [
        _summarise_site(split, view, site, index.loc[(index["split"] == split) & (index["view"] == view), site.name])
        for split in SPLITS
        for view, site in shown
    ]


def _summarise_site(split: str, view: str, site: Site, scores: pd.Series) -> SiteSummary:
    counts = scores.value_counts()
    by_score = {score: int(counts.get(score, 0)) for score in site.scores}
    return SiteSummary(split, view, site.name, len(scores), int(scores.isna().sum()), by_score)


def _is_hash(visit: str) -> bool:
    return len(visit) == 16 and all(digit in "0123456789abcdef" for digit in visit)
