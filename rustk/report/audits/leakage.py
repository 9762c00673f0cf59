"""The leakage audit: whether an image that judges a model, or a twin of it, also taught it.

Whatever the scheme of the folds promises, the audit counts on the folds as they are.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rustk.metrics.ranking import IntArray
from rustk.report.audits.base import Context, Finding, Severity, first_few
from rustk.report.data.cohort import Cohort
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadData

ORDER = 30

# Perceptual hashes (64 bits) this close are near-duplicates: re-encoded, rescaled or slightly cropped copies differ
# in up to about three bits, two radiographs of different legs in far more.
NEAR_BITS = 3

_BITS_OF_16 = np.array([number.bit_count() for number in range(1 << 16)], dtype=np.uint8)
_ROWS_AT_ONCE = 256


def audit(context: Context) -> list[Finding]:
    """What folds, and the develop and test splits, share; nothing without folds and an index."""
    if context.cohort is None or context.results.index is None:
        return []
    return audit_leakage(context.results.index, context.cohort)


def audit_leakage(index: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    """Patients and images on both sides: of a fold, and of the develop and test splits. One finding a question."""
    known = index.set_index("sample_id")
    develop = known.loc[cohort.sample_ids]
    test = known[known["split"] == "test"]
    return [
        audit_patients(cohort),
        _audit_images(develop, cohort.folds),
        _audit_test_patients(develop, test),
        _audit_test_images(develop, test),
    ]


def audit_patients(cohort: Cohort) -> Finding:
    """Patients with images in more than one fold: each is trained on in one and validated in another."""
    table = pd.DataFrame({"patient": cohort.patients, "fold": cohort.folds}).dropna(subset=["patient"])
    unknown = len(cohort) - len(table)
    if not len(table):
        return Finding("patients", "note", "No image names its patient: whether folds share patients can't be checked.")
    spread = table.groupby("patient")["fold"].nunique()
    shared = set(spread.index[spread > 1])
    if shared:
        affected = table[table["patient"].isin(shared)]
        share = len(affected) / len(cohort)
        details = []
        for fold in range(int(cohort.folds.max()) + 1):
            here = affected[affected["fold"] == fold]
            size = int((cohort.folds == fold).sum())
            details.append(
                f"fold {fold}: {here['patient'].nunique():,} patients, {len(here):,} of {size:,} validation images, "
                "are also in its training images"
            )
        return Finding(
            "patients",
            "fault",
            f"{len(shared):,} of {len(spread):,} patients stand on both sides of a split: {share:.0%} of the "
            "validation images show a patient that the model was trained on, so every figure of this run may be too "
            "high.",
            tuple(details),
        )
    if unknown:
        sentence = f"No known patient stands in two folds, but {unknown:,} of {len(cohort):,} images name no patient."
        return Finding("patients", "note", sentence)
    return Finding("patients", "clean", f"None of {len(spread):,} patients stands on both sides of a split.")


def _audit_images(develop: pd.DataFrame, folds: IntArray) -> Finding:
    first, second, distance = near_pairs(develop)
    apart = folds[first] != folds[second]
    names = develop.index.to_numpy()
    pairs = [
        f"{names[i]} (fold {folds[i]}) and {names[j]} (fold {folds[j]}): {_alike(bits)}"
        for i, j, bits in zip(first[apart], second[apart], distance[apart], strict=True)
    ]
    if pairs:
        exact = int((distance[apart] < 0).sum())
        return Finding(
            "duplicates",
            "fault" if exact else "warning",
            f"{_pairs(len(pairs))} of the same or nearly the same image {_stand(len(pairs))} in different folds "
            f"({exact:,} with equal bytes, {len(pairs) - exact:,} within {NEAR_BITS} of 64 bits of their perceptual "
            "hash): look at them; one side may be validated by a model trained on the other.",
            first_few(pairs),
        )
    return Finding("duplicates", "clean", f"No two folds share an image or a near-duplicate{_hashed(develop)}.")


def _audit_test_patients(develop: pd.DataFrame, test: pd.DataFrame) -> Finding:
    if not len(test):
        return Finding("test-patients", "note", "The dataset has no test split: nothing is held out.")
    both = sorted(set(develop["patient"].dropna()) & set(test["patient"].dropna()))
    if both:
        images = int(test["patient"].isin(both).sum())
        return Finding(
            "test-patients",
            "fault",
            f"{len(both):,} patients of the test split are in the develop split too ({images:,} of {len(test):,} test "
            "images): the test split is not independent.",
            first_few([f"patient {patient}" for patient in both]),
        )
    if test["patient"].isna().all() or develop["patient"].isna().all():
        return Finding("test-patients", "note", "No patient is known on one side: develop and test can't be compared.")
    count = test["patient"].nunique()
    return Finding("test-patients", "clean", f"None of the {count:,} test patients is in the develop split.")


def _audit_test_images(develop: pd.DataFrame, test: pd.DataFrame) -> Finding:
    both = pd.concat([develop, test])
    first, second, distance = near_pairs(both)
    across = (first < len(develop)) & (second >= len(develop))
    names = both.index.to_numpy()
    pairs = [
        f"{names[i]} (develop) and {names[j]} (test): {_alike(bits)}"
        for i, j, bits in zip(first[across], second[across], distance[across], strict=True)
    ]
    if pairs:
        sentence = (
            f"{_pairs(len(pairs))} of the same or nearly the same image {_stand(len(pairs))} in both the develop and "
            "the test split: look at them; the test split may not be independent."
        )
        severity: Severity = "fault" if (distance[across] < 0).any() else "warning"
        return Finding("test-duplicates", severity, sentence, first_few(pairs))
    sentence = f"Develop and test share no image and no near-duplicate{_hashed(both)}."
    return Finding("test-duplicates", "clean", sentence)


def near_pairs(images: pd.DataFrame) -> tuple[IntArray, IntArray, IntArray]:
    """(first, second, bits): the pairs of rows, first < second, that show the same or nearly the same image.

    `images` has the columns image_sha256, view and image_phash (16 hex digits, or null: only equal bytes are found
    then). Nearly the same are images of one view only: legs are alike, and a hash of 64 bits tells only so much.
    `bits` is the Hamming distance of the perceptual hashes, 0 to `NEAR_BITS`, or -1 for equal bytes. n images cost
    n^2 / 2 comparisons of 8 bytes each, about 0.2 s for 3,000. Raises BadData for a hash that is none."""
    n = len(images)
    _, same = np.unique(images["image_sha256"].to_numpy(dtype=str), return_inverse=True)
    _, view = np.unique(images["view"].to_numpy(dtype=str), return_inverse=True)
    hashes, hashed = _hashes(images["image_phash"])
    found: list[tuple[IntArray, IntArray, IntArray]] = []
    for start in range(0, n, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        differing = (hashes[rows, None] ^ hashes[None, start:]).view(np.uint16).reshape(-1, n - start, 4)
        bits = _BITS_OF_16[differing].sum(axis=2, dtype=np.int16)
        near = (
            (bits <= NEAR_BITS) & hashed[rows, None] & hashed[None, start:] & (view[rows, None] == view[None, start:])
        )
        equal = same[rows, None] == same[None, start:]
        row, column = np.nonzero((near | equal) & (np.arange(start, n) > np.arange(start, n)[: len(bits), None]))
        distance = np.where(equal[row, column], -1, bits[row, column]).astype(np.intp)
        found.append((row + start, column + start, distance))
    if not found:
        return (np.empty(0, dtype=np.intp),) * 3
    first, second, distances = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return first, second, distances


def _hashes(column: pd.Series) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    hashed = column.notna().to_numpy()
    hashes = np.zeros(len(column), dtype=np.uint64)
    for place in np.flatnonzero(hashed):
        text = column.iloc[place]
        try:
            hashes[place] = int(text, 16)
        except (ValueError, OverflowError):
            raise BadData(f"index.parquet: image_phash {clip(text)}: expected 16 hexadecimal digits, or null") from None
    return hashes, hashed


def _hashed(images: pd.DataFrame) -> str:
    lacking = int(images["image_phash"].isna().sum())
    return f" ({lacking:,} images have no perceptual hash and were compared by their bytes only)" if lacking else ""


def _alike(bits: int) -> str:
    return "equal bytes" if bits < 0 else f"{bits} of 64 bits differ"


def _pairs(count: int) -> str:
    return "1 pair" if count == 1 else f"{count:,} pairs"


def _stand(count: int) -> str:
    return "stands" if count == 1 else "stand"
