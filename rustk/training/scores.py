"""What a model's probabilities say: a score for each site of an image, of several images of a visit, and their total.

Several images of a visit that show one site are combined by the mean of their probabilities (a linear opinion pool, in
which each image weighs the same): its expected score is the mean of theirs, which is what the report's totals add up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rustk.metrics.sums import central_interval, expected_value, sum_distribution
from rustk.vocabulary.instrument import Instrument, Threshold

CONFIDENCE = 0.95


@dataclass(frozen=True)
class SiteScore:
    """A site's most probable score, and how probable each score is, given that the site can be scored."""

    score: int
    probabilities: Mapping[int, float]


@dataclass(frozen=True)
class ImageScores:
    """What a model says of one image: which view it is, how sure that is, and a score for each site that it shows.

    view_probability: 1 where the instrument has a single view.
    """

    view: str
    view_probability: float
    sites: Mapping[str, SiteScore]


@dataclass(frozen=True)
class Total:
    """A visit's total: the sum of its sites' most probable scores, and what it may be besides.

    probabilities: of each sum. low, high: the central interval at `confidence`. All three are the convolution of the
    sites' probabilities, which takes them as independent: sites of one patient heal together, so that the interval is
    rather too narrow, and it is no better calibrated than they are.
    """

    score: int
    expected: float
    low: int
    high: int
    confidence: float
    probabilities: Mapping[int, float]


@dataclass(frozen=True)
class Reached:
    """How probable it is that a threshold of the instrument is reached, and whether the most probable scores do."""

    threshold: Threshold
    title: str
    probability: float
    reached: bool


@dataclass(frozen=True)
class VisitScores:
    """What the images of a visit say together. shown: of each site, the numbers of the images that show it, from 0.

    total: None unless every site is shown, or where the instrument has no total.
    """

    sites: Mapping[str, SiteScore]
    shown: Mapping[str, tuple[int, ...]]
    total: Total | None
    thresholds: tuple[Reached, ...]


def read_scores(
    instrument: Instrument,
    probabilities: npt.NDArray[np.float32],
    sites_by_view: Mapping[str, Sequence[str]],
    view: str | None = None,
) -> ImageScores:
    """The scores that one image's probabilities [labels] say, for the sites that its view shows."""
    of_views = dict.fromkeys(instrument.views, 1.0)
    if instrument.view_labels:
        of_views = dict(zip(instrument.views, probabilities[: len(instrument.views)].tolist(), strict=True))
    seen = view or max(of_views, key=lambda name: of_views[name])
    sites = {}
    for site, columns in zip(instrument.sites, instrument.site_columns, strict=True):
        if site.name not in sites_by_view.get(seen, ()):
            continue
        of_scores = probabilities[columns].tolist()
        total = sum(of_scores)
        # Labels may be independent; of a site's one is right, if the site can be scored at all.
        shares = [value / total if total > 0 else 1 / len(of_scores) for value in of_scores]
        sites[site.name] = _most_probable(dict(zip(site.scores, shares, strict=True)))
    return ImageScores(seen, of_views[seen], sites)


def combine(instrument: Instrument, images: Sequence[ImageScores]) -> VisitScores:
    """The scores of one visit, from those of its images."""
    sites: dict[str, SiteScore] = {}
    shown: dict[str, tuple[int, ...]] = {}
    for name in instrument.site_names:
        found = tuple(number for number, image in enumerate(images) if name in image.sites)
        if not found:
            continue
        parts = [images[number].sites[name].probabilities for number in found]
        mean = {score: sum(part[score] for part in parts) / len(parts) for score in parts[0]}
        sites[name], shown[name] = _most_probable(mean), found
    total = _total_of(sites) if instrument.total is not None and len(sites) == len(instrument.sites) else None
    reached = tuple(
        one for threshold in instrument.thresholds if (one := _reached(instrument, threshold, sites, total)) is not None
    )
    return VisitScores(sites, shown, total, reached)


def meanings(visit: VisitScores) -> list[str]:
    """What the thresholds that are reached mean, as `union (mRUST total at least 13)`."""
    return [
        f"{one.threshold.means} ({one.title} at least {one.threshold.at})" for one in visit.thresholds if one.reached
    ]


def _most_probable(probabilities: Mapping[int, float]) -> SiteScore:
    return SiteScore(max(probabilities, key=lambda score: probabilities[score]), probabilities)


def _total_of(sites: Mapping[str, SiteScore]) -> Total:
    distribution = sum_distribution([site.probabilities for site in sites.values()])
    low, high = central_interval(distribution, CONFIDENCE)
    return Total(
        score=sum(site.score for site in sites.values()),
        expected=expected_value(distribution),
        low=low,
        high=high,
        confidence=CONFIDENCE,
        probabilities=distribution,
    )


def _reached(
    instrument: Instrument, threshold: Threshold, sites: Mapping[str, SiteScore], total: Total | None
) -> Reached | None:
    """None where what it is about is not shown."""
    judged = total if threshold.site is None else sites.get(threshold.site)
    if judged is None:
        return None
    title = threshold.site or (instrument.total.title if instrument.total else "")
    probability = sum(share for value, share in judged.probabilities.items() if value >= threshold.at)
    return Reached(threshold, title, probability, judged.score >= threshold.at)
