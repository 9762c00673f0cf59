"""Patients, visits, views and scores of a phantom cohort, in the proportions of a real one of 2,936 radiographs.

At 2,936 images the counts of images per patient, views, scores and unscored cortices are exactly those of the cohort;
at any other size they are the nearest whole numbers. Scores come from one latent state of healing per patient and
visit, cut at the quantiles that give the frequencies, so that two cortices of one image, and any two of one visit,
correlate (Spearman 0.75-0.81).
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.labels import CORTICES

COHORT_IMAGES = 2936
COHORT_TEST_IMAGES = 441
COHORT_PATIENTS = {1: 33, 2: 814, 3: 23, 4: 141, 5: 10, 6: 79, 7: 3, 8: 11, 9: 1}  # images per patient -> patients
COHORT_AP_IMAGES = 1493
COHORT_VISITS = {"baseline": 0.47, "3-months": 0.20, "6-months": 0.24, "12-months": 0.09}
# Unscored, then scores 1-4, of each cortex.
COHORT_SCORES = {
    "medial": (217, 169, 378, 464, 265),
    "lateral": (166, 115, 376, 551, 285),
    "anterior": (161, 149, 404, 478, 251),
    "posterior": (202, 121, 365, 498, 257),
}
# Which cortices a view shows as its two edges, by anatomy.
VIEW_CORTICES = {"ap": ("medial", "lateral"), "lateral": ("anterior", "posterior")}

MIN_IMAGES = 12
MAX_SEED = 2**63 - 1
# Shared part of the latent state's variance; cutting that into four scores brings Spearman's rho down to the 0.78 seen.
_LATENT_CORRELATION = 0.88
_VISIT_HEALING = {"baseline": -0.5, "3-months": 0.0, "6-months": 0.5, "12-months": 1.0}

# What a random stream is for: streams of different kinds never meet, whatever their numbers.
_COHORT, _IMAGE, _PATIENT = range(3)


@dataclass(frozen=True)
class PhantomPlan:
    """One image to draw: where it stands in the cohort, its label, and the state of healing to draw at each cortex."""

    number: int
    sample_id: str
    split: str  # develop or test
    patient_number: int
    patient: str  # salted hash
    visit: str
    view: str
    scores: dict[str, int | None]  # the label: the view's two cortices, None where unscored
    drawn: dict[str, int] = field(repr=False)  # the healing that the picture shows, also of an unscored cortex


def image_stream(seed: int, number: int) -> np.random.Generator:
    """The random numbers of image `number` alone, whichever process draws it and in whatever order."""
    return _stream(seed, _IMAGE, number)


def patient_stream(seed: int, patient_number: int) -> np.random.Generator:
    """The random numbers of what a patient's images have in common."""
    return _stream(seed, _PATIENT, patient_number)


def plan_cohort(
    images: int, seed: int, *, split_patients: bool = False, view_shortcut: bool = False
) -> list[PhantomPlan]:
    """Plan a cohort of `images` images; a pure function of its arguments, ordered by number.

    Two planted faults, for testing what should detect them: `split_patients` cuts develop and test by image, so that
    patients stand in both; `view_shortcut` draws healing that has nothing to do with the scores, so that a picture
    tells its view and nothing else. Raises BadStudy for fewer than 12 images or a seed outside 0..2**63-1.
    """
    if images < MIN_IMAGES:
        raise BadStudy(
            f"--images {images}: a phantom cohort with both views and a test split needs at least {MIN_IMAGES} images"
        )
    if not 0 <= seed <= MAX_SEED:
        raise BadStudy(f"--seed {seed}: expected a whole number from 0 to {MAX_SEED}")
    random = _stream(seed, _COHORT, images)
    sizes = _patient_sizes(images, random)
    patients, visits, views = _rows(sizes, images, random)
    scores, drawn = _scores(patients, visits, views, random)
    test = _test_patients(sizes, round(images * COHORT_TEST_IMAGES / COHORT_IMAGES), random)
    in_test = np.isin(patients, sorted(test))
    if split_patients:
        in_test = random.permutation(in_test)
    if view_shortcut:
        for values in drawn.values():
            shown_rows = np.flatnonzero(values)
            values[shown_rows] = values[random.permutation(shown_rows)]
    plans = []
    for number in range(images):
        shown = VIEW_CORTICES[views[number]]
        plans.append(
            PhantomPlan(
                number=number,
                sample_id=_hash(f"{seed}/{images}/image/{number}"),
                split="test" if in_test[number] else "develop",
                patient_number=int(patients[number]),
                patient=_hash(f"{seed}/{images}/patient/{patients[number]}"),
                visit=visits[number],
                view=views[number],
                scores={cortex: int(scores[cortex][number]) or None for cortex in shown},
                drawn={cortex: int(drawn[cortex][number]) for cortex in shown},
            )
        )
    return plans


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


def _patient_sizes(images: int, random: np.random.Generator) -> np.ndarray:
    """[patients] images of each patient, in random order, adding up to `images`."""
    patients = max(2, round(sum(COHORT_PATIENTS.values()) * images / COHORT_IMAGES))
    counts = _apportion(patients, [float(count) for count in COHORT_PATIENTS.values()])
    sizes = np.repeat(list(COHORT_PATIENTS), counts)
    # Rounding the histogram leaves a few images too many or too few: patients of two images make up for it.
    while (gap := images - int(sizes.sum())) >= 2:
        sizes = np.append(sizes, 2)
    while gap < 0:
        last = int(sizes.argmax()) if sizes.max() > 2 else len(sizes) - 1
        sizes[last] -= 1
        gap += 1
    if gap == 1:
        sizes = np.append(sizes, 1)
    return random.permutation(sizes[sizes > 0])


def _rows(sizes: np.ndarray, images: int, random: np.random.Generator) -> tuple[np.ndarray, list[str], list[str]]:
    """Patient number, visit and view of each image: a visit has both views, an odd image is one view of its last
    visit.
    """
    names = list(COHORT_VISITS)
    quota = np.asarray(_apportion(images, list(COHORT_VISITS.values())), dtype=float)
    visits_of: dict[int, list[int]] = {}
    for patient in np.argsort(-sizes, kind="stable"):
        size = int(sizes[patient])
        count = min(len(names), (size + 1) // 2)
        weights = np.maximum(quota, 1e-6)
        chosen = np.sort(random.choice(len(names), size=count, replace=False, p=weights / weights.sum()))
        visits_of[int(patient)] = [int(visit) for visit in chosen]
        for place in range(size):
            quota[chosen[min(place // 2, count - 1)]] -= 1
    odd = [int(patient) for patient in np.flatnonzero(sizes % 2)]
    pairs = (images - len(odd)) // 2
    ap_odd = int(np.clip(round(images * COHORT_AP_IMAGES / COHORT_IMAGES) - pairs, 0, len(odd)))
    odd_view = dict(zip(odd, random.permutation(["ap"] * ap_odd + ["lateral"] * (len(odd) - ap_odd)), strict=True))
    patients, visits, views = [], [], []
    for patient, size in enumerate(sizes):
        chosen_visits = visits_of[patient]
        for place in range(int(size)):
            patients.append(patient)
            visits.append(names[chosen_visits[min(place // 2, len(chosen_visits) - 1)]])
            is_odd = place == size - 1 and size % 2 == 1
            views.append(str(odd_view[patient]) if is_odd else ("ap", "lateral")[place % 2])
    return np.asarray(patients), visits, views


def _scores(
    patients: np.ndarray, visits: list[str], views: list[str], random: np.random.Generator
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Label (0: unscored) and healing of each cortex, [images] both; a cortex that an image's view hides is 0 in
    both.
    """
    images = len(patients)
    visit_names = list(COHORT_VISITS)
    visit = np.asarray([visit_names.index(name) for name in visits])
    healing = np.asarray([_VISIT_HEALING[name] for name in visits])
    of_patient = random.normal(size=int(patients.max()) + 1)[patients]
    of_visit = random.normal(size=(int(patients.max()) + 1, len(visit_names)))[patients, visit]
    shared = healing + 0.7 * of_patient + 0.7 * of_visit
    shared = (shared - shared.mean()) / shared.std()
    labels, drawn = {}, {}
    for cortex in CORTICES:
        view = next(view for view, shown in VIEW_CORTICES.items() if cortex in shown)
        rows = np.flatnonzero(np.asarray(views) == view)
        own = random.normal(size=len(rows))
        latent = np.sqrt(_LATENT_CORRELATION) * shared[rows] + np.sqrt(1 - _LATENT_CORRELATION) * own
        unscored_count, *score_counts = _apportion(len(rows), [float(count) for count in COHORT_SCORES[cortex]])
        unscored = np.zeros(len(rows), dtype=bool)
        unscored[random.permutation(len(rows))[:unscored_count]] = True
        healed = np.zeros(len(rows), dtype=int)
        scored_order = np.flatnonzero(~unscored)[np.argsort(latent[~unscored], kind="stable")]
        healed[scored_order] = np.repeat((1, 2, 3, 4), score_counts)
        # An unscored cortex still shows some healing: that of the scored one with the nearest latent state.
        sorted_latent = np.sort(latent[~unscored])
        nearest = np.clip(np.searchsorted(sorted_latent, latent[unscored]), 0, len(sorted_latent) - 1)
        healed[unscored] = np.sort(healed[~unscored])[nearest]
        labels[cortex], drawn[cortex] = np.zeros(images, dtype=int), np.zeros(images, dtype=int)
        labels[cortex][rows] = np.where(unscored, 0, healed)
        drawn[cortex][rows] = healed
    return labels, drawn


def _test_patients(sizes: np.ndarray, wanted: int, random: np.random.Generator) -> set[int]:
    """Patients whose images add up to `wanted`, or to the nearest number below it that whole patients allow."""
    test: set[int] = set()
    left = wanted
    for patient in random.permutation(len(sizes)):
        if sizes[patient] <= left:
            test.add(int(patient))
            left -= int(sizes[patient])
    return test
