"""The proportions of a phantom cohort: those of a real one for mRUST, and made-up ones for any other instrument."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from rustk.vocabulary.instrument import FROM_DATA, Instrument, Site, load_instrument

# A cohort of 2,936 radiographs scored by mRUST.
MRUST_PATIENTS = {1: 33, 2: 814, 3: 23, 4: 141, 5: 10, 6: 79, 7: 3, 8: 11, 9: 1}  # images per patient -> patients
MRUST_AP_IMAGES, MRUST_LATERAL_IMAGES = 1493, 1443
MRUST_TEST_IMAGES = 441
# Unscored, then scores 1-4, of each cortex.
MRUST_SCORES = {
    "medial": (217, 169, 378, 464, 265),
    "lateral": (166, 115, 376, 551, 285),
    "anterior": (161, 149, 404, 478, 251),
    "posterior": (202, 121, 365, 498, 257),
}
# Which cortices a view shows as its two edges, by anatomy.
MRUST_VIEWS = {"ap": ("medial", "lateral"), "lateral": ("anterior", "posterior")}
VISITS = {"baseline": 0.47, "3-months": 0.20, "6-months": 0.24, "12-months": 0.09}

# Of any other instrument: the same patients by visits, every visit with all of its views.
_PATIENTS_BY_VISITS = {1: 847, 2: 164, 3: 89, 4: 15}
_UNSCORED_SHARE, _TEST_SHARE = 0.12, 0.15


@dataclass(frozen=True)
class Proportions:
    """How many patients, views and scores of each kind a cohort has; only their ratios count.

    patients: images per patient -> patients. sites_of: view -> the sites that its pictures show. views: images of each.
    scores: site -> how many images of it are unscored, then how many have each of its scores.
    test_images: how many of all images are in the sealed test.
    """

    patients: Mapping[int, int]
    views: Mapping[str, float]
    sites_of: Mapping[str, tuple[str, ...]]
    scores: Mapping[str, tuple[float, ...]]
    test_images: float

    @cached_property
    def images(self) -> int:
        """How many images all the patients have."""
        return sum(size * count for size, count in self.patients.items())


def proportions_of(instrument: Instrument) -> Proportions:
    """The cohort that a phantom of this instrument is drawn after."""
    if is_mrust(instrument):
        views = {"ap": float(MRUST_AP_IMAGES), "lateral": float(MRUST_LATERAL_IMAGES)}
        scores = {site: tuple(map(float, counts)) for site, counts in MRUST_SCORES.items()}
        return Proportions(MRUST_PATIENTS, views, MRUST_VIEWS, scores, MRUST_TEST_IMAGES)
    patients = {visits * len(instrument.views): count for visits, count in _PATIENTS_BY_VISITS.items()}
    return Proportions(
        patients=patients,
        views=dict.fromkeys(instrument.views, 1.0),
        sites_of=_sites_of(instrument),
        scores={site.name: _score_shares(site, instrument.unscored) for site in instrument.sites},
        test_images=_TEST_SHARE * sum(size * count for size, count in patients.items()),
    )


def is_mrust(instrument: Instrument) -> bool:
    """Whether an instrument, whatever it is called, has mRUST's views, sites and scores."""
    return instrument.encoding() == load_instrument("mrust").encoding()


def _sites_of(instrument: Instrument) -> dict[str, tuple[str, ...]]:
    """The sites of each view. Those whose views are left to the data are dealt out in order, as many to each view as
    to any other; where there are fewer of them than views, every view shows them.
    """
    free = [site.name for site in instrument.sites if site.views == FROM_DATA]
    count = len(instrument.views)
    dealt = {
        name: {instrument.views[place * count // len(free)]} if len(free) >= count else set(instrument.views)
        for place, name in enumerate(free)
    }
    return {
        view: tuple(site.name for site in instrument.sites if view in dealt.get(site.name, site.views))
        for view in instrument.views
    }


def _score_shares(site: Site, unscored: bool) -> tuple[float, ...]:
    """Scores in the middle of a scale are the most frequent, those at its ends half as frequent or less."""
    count = len(site.scores)
    weights = [2.0 + min(place, count - 1 - place) for place in range(count)]
    share = _UNSCORED_SHARE if unscored else 0.0
    return (share, *((1.0 - share) * weight / sum(weights) for weight in weights))
