"""Drawn radiographs: the same bytes wherever they are drawn, and pictures that show their view and their scores."""

import hashlib
import io
from dataclasses import replace

import imagehash
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_laplace
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rustk.datasets.phantom.cohort import PhantomPlan
from rustk.datasets.phantom.cohort import plan_cohort as plan_any_cohort
from rustk.datasets.phantom.drawing import generate
from rustk.datasets.phantom.proportions import MRUST_VIEWS
from rustk.datasets.phantom.tibia import draw
from rustk.vocabulary.errors import BadStudy
from tests.instruments import MRUST

SIDE = 96


def plan_cohort(images: int, seed: int, *, view_shortcut: bool = False) -> list[PhantomPlan]:
    return plan_any_cohort(MRUST, images, seed, view_shortcut=view_shortcut)


def test_any_number_of_processes_draws_the_same_bytes() -> None:
    plans = plan_cohort(24, seed=3)
    alone = list(generate(plans, MRUST, size=64, seed=3, processes=1))
    together = list(generate(plans, MRUST, size=64, seed=3, processes=2))
    assert alone == together
    assert [image.plan for image in alone] == plans
    assert len({hashlib.sha256(image.png).digest() for image in alone}) == len(plans)


def test_the_pixels_are_those_of_every_version_before() -> None:
    """40 images of 64 px, as the first version of rustk drew them; a change must raise DRAWING."""
    digest = hashlib.sha256()
    for plan in plan_cohort(40, seed=0):
        digest.update(draw(plan, size=64, seed=0).tobytes())
    assert digest.hexdigest() == "4a7a7b5fd9658e358485c90e206cc3d776ffea71941c33b38495322a67a704ce"


def test_an_image_depends_on_seed_number_and_size_alone() -> None:
    plan = plan_cohort(24, seed=3)[5]
    assert np.array_equal(draw(plan, size=64, seed=3), draw(plan, size=64, seed=3))
    assert not np.array_equal(draw(plan, size=64, seed=3), draw(plan, size=64, seed=4))
    assert not np.array_equal(draw(plan, size=64, seed=3), draw(replace(plan, number=6), size=64, seed=3))
    # What a label says, beyond what is drawn, must not reach the picture.
    unlabelled = replace(plan, scores=dict.fromkeys(plan.scores))
    assert np.array_equal(draw(plan, size=64, seed=3), draw(unlabelled, size=64, seed=3))


@pytest.mark.parametrize("size", [32, 75, 299])
def test_images_are_grey_square_pngs_with_their_hash(size: int) -> None:
    plan = plan_cohort(12, seed=0)[0]
    (image,) = generate([plan], MRUST, size=size, seed=0)
    opened = Image.open(io.BytesIO(image.png))
    assert (opened.format, opened.mode, opened.size) == ("PNG", "L", (size, size))
    assert image.phash == str(imagehash.phash(opened))
    assert len(image.phash) == 16
    pixels = np.asarray(opened)
    assert np.array_equal(pixels, draw(plan, size=size, seed=0))
    assert pixels.min() < 40  # air
    assert pixels.max() > 150  # bone


def test_pictures_of_different_patients_are_no_near_duplicates() -> None:
    plans = plan_cohort(120, seed=0)
    hashes = [imagehash.hex_to_hash(image.phash) for image in generate(plans, MRUST, size=SIDE, seed=0)]
    distances = [
        hashes[i] - hashes[j] for i in range(len(plans)) for j in range(i) if plans[i].patient != plans[j].patient
    ]
    assert min(distances) > 4


def test_a_fracture_line_and_callus_come_and_go_with_the_score() -> None:
    plan = plan_cohort(300, seed=0)[0]
    cortices = MRUST_VIEWS[plan.view]
    drawn = {}
    for score in (1, 2, 3, 4):
        images = [
            draw(
                replace(plan, number=number, patient_number=number, drawn=dict.fromkeys(cortices, score)),
                size=160,
                seed=1,
            )
            for number in range(12)
        ]
        drawn[score] = np.stack(images).astype(np.float32)
    # A thin dark line answers most to a small Laplacian; callus adds bone.
    line = {s: np.mean([np.quantile(gaussian_laplace(x, 1.5), 0.9995) for x in images]) for s, images in drawn.items()}
    bone = {s: float((images > 110).mean()) for s, images in drawn.items()}
    assert line[1] > line[3] > line[4]
    assert line[2] > line[3]
    assert bone[4] > bone[2] > bone[1]
    assert bone[3] > bone[2]


def features(pixels: np.ndarray) -> list[float]:
    """Position-free statistics: dark lines and bright blobs at three scales, and how wide the bone is."""
    image = pixels.astype(np.float32) / 255
    found: list[float] = []
    for scale in (0.008, 0.016, 0.032):
        response = gaussian_laplace(image, scale * SIDE)
        ordered = np.sort(response, axis=1)
        found += list(np.quantile(response, [0, 0.001, 0.01, 0.05, 0.5, 0.95, 0.99, 0.999, 1]))
        found += [ordered[:, :4].mean(axis=1).min(), ordered[:, -4:].mean(axis=1).max()]
    width = (gaussian_filter(image, 0.016 * SIDE) > 0.5).mean(axis=1)
    return [*found, *np.quantile(width, [0, 0.25, 0.5, 0.75, 0.9, 1]), width.std()]


def in_view_auroc(plans: list[PhantomPlan], signal: float) -> float:
    """Mean AUROC of held-out patients over cortices and scores, with pairs within one view and fold only: 0.5 is what
    knowing the view scores."""
    rows = np.array([features(draw(plan, size=SIDE, seed=0, signal=signal)) for plan in plans])
    patients = np.array([plan.patient_number for plan in plans])
    fold_of = np.random.default_rng(0).permutation(patients.max() + 1)[patients] % 3
    found = []
    for shown in MRUST_VIEWS.values():
        for cortex in shown:
            scored = np.array([place for place, plan in enumerate(plans) if plan.scores.get(cortex) is not None])
            scores = np.array([plans[place].scores[cortex] for place in scored])
            for fold in range(3):
                held_out = fold_of[scored] == fold
                model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
                model.fit(rows[scored[~held_out]], scores[~held_out])
                said = model.predict_proba(rows[scored[held_out]])
                for place, score in enumerate(model.classes_):
                    truth = scores[held_out] == score
                    if 0 < truth.sum() < len(truth):
                        found.append(roc_auc_score(truth, said[:, place]))
    return float(np.mean(found))


def test_a_small_model_ranks_scores_far_better_than_the_view_does() -> None:
    assert in_view_auroc(plan_cohort(200, seed=0), signal=1.0) > 0.8


def test_without_signal_or_with_the_view_shortcut_nothing_can_be_learnt() -> None:
    assert in_view_auroc(plan_cohort(200, seed=0), signal=0.0) == pytest.approx(0.5, abs=0.07)
    assert in_view_auroc(plan_cohort(200, seed=0, view_shortcut=True), signal=1.0) == pytest.approx(0.5, abs=0.07)


def test_the_view_shows_in_the_picture() -> None:
    plans = plan_cohort(120, seed=0)
    rows = np.array([features(draw(plan, size=SIDE, seed=0)) for plan in plans])
    # The calf bulges on one edge and the fibula hides behind the tibia: left and right halves tell, whichever is which.
    halves = []
    for plan in plans:
        profile = draw(plan, size=SIDE, seed=0).astype(np.float32).mean(axis=0)
        halves.append(np.sort([profile[: SIDE // 2].sum(), profile[SIDE // 2 :].sum()]))
    rows = np.column_stack([rows, halves])
    views = np.array([plan.view == "ap" for plan in plans])
    train = np.array([plan.patient_number % 2 == 0 for plan in plans])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(rows[train], views[train])
    assert model.score(rows[~train], views[~train]) > 0.9


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"size": 31}, "--size"),
        ({"size": 4096}, "--size"),
        ({"signal": -0.1}, "--signal"),
        ({"signal": 2.0}, "--signal"),
        ({"signal": float("nan")}, "--signal"),
        ({"signal": float("inf")}, "--signal"),
        ({"processes": 0}, "--processes"),
        ({"processes": 10**6}, "--processes"),
    ],
)
def test_what_can_t_be_drawn_is_refused_before_anything_is(options: dict[str, float], named: str) -> None:
    with pytest.raises(BadStudy, match=named):
        generate(plan_cohort(12, seed=0), MRUST, **options)  # type: ignore[arg-type]
