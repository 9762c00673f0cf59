"""Patients, visits, views and scores of a phantom cohort, in the proportions that an instrument's cohort has.

For mRUST at 2,936 images the counts of images per patient, views, scores and unscored cortices are exactly those of a
real cohort; at any other size, and for any other instrument, they are the nearest whole numbers. Scores come from one
latent state per patient and visit, cut at the quantiles that give the frequencies, so that two sites of one image, and
any two of one visit, correlate (Spearman 0.75-0.81 for mRUST).
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from rustk.datasets.holdout import check_seed
from rustk.datasets.phantom.proportions import VISITS, Proportions, proportions_of
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.instrument import Instrument

MIN_IMAGES_A_VIEW, MAX_IMAGES = 6, 100_000
# Shared part of the latent state's variance; cutting that into four scores brings Spearman's rho down to the 0.78 seen.
_LATENT_CORRELATION = 0.88
_NONE = -1  # no score: unscored, or a site that the view does not show
_VISIT_HEALING = {"baseline": -0.5, "3-months": 0.0, "6-months": 0.5, "12-months": 1.0}

# What a random stream is for: streams of different kinds never meet, whatever their numbers.
_COHORT, _IMAGE, _PATIENT = range(3)


@dataclass(frozen=True)
class PhantomPlan:
    """One image to draw: where it stands in the cohort, its label, and the score to draw at each site."""

    number: int
    sample_id: str
    split: str  # develop or test
    patient_number: int
    patient: str  # salted hash
    visit: str
    view: str
    scores: dict[str, int | None]  # the label: the view's sites, None where unscored
    drawn: dict[str, int] = field(repr=False)  # the score that the picture shows, also at an unscored site


def image_stream(seed: int, number: int) -> np.random.Generator:
    """The random numbers of image `number` alone, whichever process draws it and in whatever order."""
    return _stream(seed, _IMAGE, number)


def patient_stream(seed: int, patient_number: int) -> np.random.Generator:
    """The random numbers of what a patient's images have in common."""
    return _stream(seed, _PATIENT, patient_number)


def plan_cohort(
    instrument: Instrument, images: int, seed: int, *, split_patients: bool = False, view_shortcut: bool = False
) -> list[PhantomPlan]:
    """Plan a cohort of `images` images; a pure function of its arguments, ordered by number.

    Two planted faults, for testing what should detect them: `split_patients` cuts develop and test by image, so that
    patients stand in both; `view_shortcut` draws what has nothing to do with the scores, so that a picture tells its
    view and nothing else. Raises BadStudy for fewer than 12 images (or six a view), more than 100,000, or a seed
    outside 0..2**63-1.
    """
    check_cohort(instrument, images, seed)
    proportions = proportions_of(instrument)
    random = _stream(seed, _COHORT, images)
    sizes = _patient_sizes(images, proportions, random)
    patients, visits, views = _rows(sizes, images, proportions, random)
    scores, drawn = _scores(instrument, proportions, patients, visits, views, random)
    test = _test_patients(sizes, round(images * proportions.test_images / proportions.images), random)
    in_test = np.isin(patients, sorted(test))
    if split_patients:
        in_test = random.permutation(in_test)
    if view_shortcut:
        for values in drawn.values():
            shown_rows = np.flatnonzero(values != _NONE)
            values[shown_rows] = values[random.permutation(shown_rows)]
    plans = []
    for number in range(images):
        shown = proportions.sites_of[views[number]]
        plans.append(
            PhantomPlan(
                number=number,
                sample_id=_hash(f"{seed}/{images}/image/{number}"),
                split="test" if in_test[number] else "develop",
                patient_number=int(patients[number]),
                patient=_hash(f"{seed}/{images}/patient/{patients[number]}"),
                visit=visits[number],
                view=views[number],
                scores={site: None if scores[site][number] == _NONE else int(scores[site][number]) for site in shown},
                drawn={site: int(drawn[site][number]) for site in shown},
            )
        )
    return plans


def check_cohort(instrument: Instrument, images: int, seed: int) -> None:
    """Raise BadStudy for a number of images or a seed that no cohort can have."""
    least = MIN_IMAGES_A_VIEW * max(2, len(instrument.views))
    if not least <= images <= MAX_IMAGES:
        raise BadStudy(
            f"--images {images}: expected at least {least} for a cohort with every view and a test split, and at most "
            f"{MAX_IMAGES}"
        )
    check_seed(seed)


def _stream(seed: int, kind: int, number: int) -> np.random.Generator:
    # Philox is counter-based: its key alone decides the stream, with no state carried from one image to the next.
    return np.random.Generator(np.random.Philox(key=np.array([seed, (kind << 48) | number], dtype=np.uint64)))


def _hash(text: str) -> str:
    return hashlib.sha256(f"rustk-phantom/{text}".encode()).hexdigest()[:16]


def _apportion(total: int, weights: list[float]) -> list[int]:
    """Whole numbers in proportion to `weights` that add up to `total` (largest remainders; ties go to the first)."""
    exact = np.asarray(weights, dtype=float) * total / sum(weights)
    counts = np.floor(exact).astype(int)
    for place in np.argsort(-(exact - counts), kind="stable")[: total - counts.sum()]:
        counts[place] += 1
    return [int(count) for count in counts]


def _patient_sizes(images: int, proportions: Proportions, random: np.random.Generator) -> np.ndarray:
    """[patients] images of each patient, in random order, adding up to `images`."""
    whole_visit = len(proportions.views)
    patients = max(2, round(sum(proportions.patients.values()) * images / proportions.images))
    counts = _apportion(patients, [float(count) for count in proportions.patients.values()])
    sizes = np.repeat(list(proportions.patients), counts)
    # Rounding the histogram leaves a few images too many or too few: patients of one visit make up for it.
    gap = images - int(sizes.sum())
    sizes = np.append(sizes, np.repeat(whole_visit, max(gap, 0) // whole_visit))
    while (gap := images - int(sizes.sum())) < 0:
        last = int(sizes.argmax()) if sizes.max() > whole_visit else len(sizes) - 1
        sizes[last] -= 1
        sizes = sizes[sizes > 0]
    if gap > 0:
        sizes = np.append(sizes, gap)
    return random.permutation(sizes)


def _rows(
    sizes: np.ndarray, images: int, proportions: Proportions, random: np.random.Generator
) -> tuple[np.ndarray, list[str], list[str]]:
    """Patient number, visit and view of each image: a visit has every view, what is left over is of the last visit."""
    names, view_names = list(VISITS), list(proportions.views)
    whole = len(view_names)
    quota = np.asarray(_apportion(images, list(VISITS.values())), dtype=float)
    visits_of: dict[int, list[int]] = {}
    for patient in np.argsort(-sizes, kind="stable"):
        size = int(sizes[patient])
        count = min(len(names), -(-size // whole))
        weights = np.maximum(quota, 1e-6)
        chosen = np.sort(random.choice(len(names), size=count, replace=False, p=weights / weights.sum()))
        visits_of[int(patient)] = [int(visit) for visit in chosen]
        for place in range(size):
            quota[chosen[min(place // whole, count - 1)]] -= 1
    left_over = _left_over_views(sizes, images, proportions, random)
    patients, visits, views = [], [], []
    for patient, size in enumerate(sizes):
        chosen_visits = visits_of[patient]
        for place in range(int(size)):
            patients.append(patient)
            visits.append(names[chosen_visits[min(place // whole, len(chosen_visits) - 1)]])
            is_left_over = place >= size - size % whole
            views.append((left_over[patient] if is_left_over else view_names)[place % whole])
    return np.asarray(patients), visits, views


def _left_over_views(
    sizes: np.ndarray, images: int, proportions: Proportions, random: np.random.Generator
) -> dict[int, list[str]]:
    """The views of each patient's last visit where it has not all of them; of two views, in the cohort's ratio."""
    names = list(proportions.views)
    odd = [int(patient) for patient in np.flatnonzero(sizes % len(names))]
    if len(names) != 2:
        return {
            patient: [names[place] for place in np.sort(random.permutation(len(names))[: sizes[patient] % len(names)])]
            for patient in odd
        }
    first, second = names
    pairs = (images - len(odd)) // 2
    wanted = round(images * proportions.views[first] / sum(proportions.views.values()))
    of_first = int(np.clip(wanted - pairs, 0, len(odd)))
    dealt = random.permutation([first] * of_first + [second] * (len(odd) - of_first))
    return {patient: [str(view)] for patient, view in zip(odd, dealt, strict=True)}


def _scores(
    instrument: Instrument,
    proportions: Proportions,
    patients: np.ndarray,
    visits: list[str],
    views: list[str],
    random: np.random.Generator,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Label and drawn score of each site, [images] both; -1 where the view hides the site and, in the label, where it
    is unscored.
    """
    images = len(patients)
    visit_names = list(VISITS)
    visit = np.asarray([visit_names.index(name) for name in visits])
    healing = np.asarray([_VISIT_HEALING[name] for name in visits])
    of_patient = random.normal(size=int(patients.max()) + 1)[patients]
    of_visit = random.normal(size=(int(patients.max()) + 1, len(visit_names)))[patients, visit]
    shared = healing + 0.7 * of_patient + 0.7 * of_visit
    shared = (shared - shared.mean()) / shared.std()
    labels, drawn = {}, {}
    for site in instrument.sites:
        showing = [view for view, shown in proportions.sites_of.items() if site.name in shown]
        rows = np.flatnonzero(np.isin(views, showing))
        own = random.normal(size=len(rows))
        latent = np.sqrt(_LATENT_CORRELATION) * shared[rows] + np.sqrt(1 - _LATENT_CORRELATION) * own
        unscored_count, *score_counts = _apportion(len(rows), list(proportions.scores[site.name]))
        unscored = np.zeros(len(rows), dtype=bool)
        unscored[random.permutation(len(rows))[:unscored_count]] = True
        state = np.full(len(rows), site.scores[0])
        scored_order = np.flatnonzero(~unscored)[np.argsort(latent[~unscored], kind="stable")]
        state[scored_order] = np.repeat(site.scores, score_counts)
        if len(scored_order):
            # An unscored site still shows something: the score of the scored one with the nearest latent state.
            sorted_latent = np.sort(latent[~unscored])
            nearest = np.clip(np.searchsorted(sorted_latent, latent[unscored]), 0, len(sorted_latent) - 1)
            state[unscored] = np.sort(state[~unscored])[nearest]
        labels[site.name], drawn[site.name] = np.full(images, _NONE), np.full(images, _NONE)
        labels[site.name][rows] = np.where(unscored, _NONE, state)
        drawn[site.name][rows] = state
    return labels, drawn


def _test_patients(sizes: np.ndarray, wanted: int, random: np.random.Generator) -> set[int]:
    """Patients whose images add up to `wanted`, or to the nearest number below it that whole patients allow."""
    test: set[int] = set()
    left = wanted
    for patient in random.permutation(len(sizes)):
        if sizes[patient] <= left:
            test.add(int(patient))
            left -= int(sizes[patient])
    # So few images that no patient has so few: the one who has the fewest.
    return test or {int(sizes.argmin())}
