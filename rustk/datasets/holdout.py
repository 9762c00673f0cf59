"""Cuts the sealed test split off a dataset: by patient, stratified, and from a seed."""

from collections.abc import Sequence

import numpy as np

from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadStudy

MAX_SEED = 2**63 - 1


def check_fraction(fraction: float) -> None:
    """Raise BadStudy for a share of the images that can't be sealed."""
    if not 0.0 <= fraction < 1.0:
        raise BadStudy(f"--test-fraction {fraction}: expected at least 0 and less than 1")


def check_seed(seed: int) -> None:
    """Raise BadStudy for a seed outside 0..2**63-1."""
    if not 0 <= seed <= MAX_SEED:
        raise BadStudy(f"--seed {clip(seed)}: expected a whole number from 0 to {MAX_SEED}")


def cut_holdout(patients: Sequence[str], labels: np.ndarray, *, fraction: float, seed: int) -> np.ndarray:
    """Choose the images of the test split, bool [images].

    patients: of each image, whole patients are chosen; labels: [images, labels] zeros and ones, whose frequencies
    are kept alike on both sides. About `fraction` of the images are chosen. As scikit-learn's StratifiedGroupKFold does
    with equal folds, patients are dealt one by one, those with the most uneven labels first and equal ones in seeded
    order, to the side where the shares of all labels stay the most even; either side gets at least one patient. It
    doesn't depend on the order of the images. Raises BadStudy for a fraction outside 0..1, and for a single patient.
    """
    check_fraction(fraction)
    names, patient_of = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    if fraction == 0.0:
        return np.zeros(len(patient_of), dtype=bool)
    if len(names) < 2:
        raise BadStudy(
            f"--test-fraction {fraction}: all images are of one patient, who can't be on both sides: "
            "use --test-fraction 0, or give more patients"
        )
    # The number of images is one more label, so that rows without a score count too.
    counts = np.zeros((len(names), labels.shape[1] + 1))
    np.add.at(counts, patient_of, np.column_stack([labels, np.ones(len(labels))]))
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(names))
    order = order[np.argsort(-counts[order].std(axis=1), kind="stable")]
    total = np.maximum(counts.sum(axis=0), 1.0)
    share = np.array([1.0 - fraction, fraction])
    filled = np.zeros((2, counts.shape[1]))  # develop, test
    in_test = np.zeros(len(names), dtype=bool)
    for patient in order:
        unevenness = []
        for side in (0, 1):
            tried = filled.copy()
            tried[side] += counts[patient]
            fill = tried / (total * share[:, None])  # [2, labels + 1]: 1 where a side has its due
            unevenness.append((float(fill.std(axis=0).mean()), float(fill[side, -1]), side))
        side = min(unevenness)[-1]
        filled[side] += counts[patient]
        in_test[patient] = side == 1
    if in_test.all() or not in_test.any():
        # So few patients that none is the best deal: the one whose share is nearest to what the empty side should have.
        empty_side = 0 if in_test.all() else 1
        sizes = counts[order, -1] / counts[:, -1].sum()
        in_test[order[np.abs(sizes - share[empty_side]).argmin()]] = empty_side == 1
    chosen: np.ndarray = in_test[patient_of]
    return chosen
