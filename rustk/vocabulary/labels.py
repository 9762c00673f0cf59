"""The 18-value encoding of a RUST score: which label stands at which place.

RUST (Radiographic Union Score for Tibial fractures) scores four cortices, each 1 to 4. One image shows one view, and
carries scores for some of the cortices. The encoding is two values for the view and four for each cortex, one-hot; a
cortex without a score is four zeros. It is made when records are read and never stored.
"""

from collections.abc import Mapping

VIEWS = ("ap", "lateral")
# The order in which the encoding lists the cortices.
CORTICES = ("medial", "lateral", "anterior", "posterior")
SCORES = (1, 2, 3, 4)

VIEW_LABELS = tuple(f"view_{view}" for view in VIEWS)
CORTEX_LABELS = tuple(f"{cortex}_{score}" for cortex in CORTICES for score in SCORES)
LABELS = VIEW_LABELS + CORTEX_LABELS


def encode_label(view: str, scores: Mapping[str, int | None]) -> tuple[int, ...]:
    """Encode one image's view and scores as 18 zeros and ones, in the order of `LABELS`.

    `scores` maps a cortex to 1-4, or to None (or nothing) where it is unscored.
    Raises ValueError for a view, cortex or score that does not exist.
    """
    if view not in VIEWS:
        raise ValueError(f"view {view!r}: expected one of {', '.join(VIEWS)}")
    if unknown := sorted(set(scores) - set(CORTICES)):
        raise ValueError(f"cortex {unknown[0]!r}: expected one of {', '.join(CORTICES)}")
    for cortex, score in scores.items():
        if score is not None and score not in SCORES:
            raise ValueError(f"{cortex} score {score!r}: expected 1, 2, 3, 4 or nothing")
    on = {f"view_{view}"} | {f"{cortex}_{score}" for cortex, score in scores.items() if score is not None}
    return tuple(int(label in on) for label in LABELS)


def decode_label(values: tuple[int, ...]) -> tuple[str, dict[str, int | None]]:
    """The inverse of `encode_label`. Raises ValueError for values that no image can have."""
    if len(values) != len(LABELS):
        raise ValueError(f"{len(values)} values: expected {len(LABELS)}")
    on = [label for label, value in zip(LABELS, values, strict=True) if value]
    views = [label.removeprefix("view_") for label in on if label in VIEW_LABELS]
    if len(views) != 1:
        raise ValueError(f"{len(views)} views are set: expected one of {', '.join(VIEW_LABELS)}")
    scores: dict[str, int | None] = dict.fromkeys(CORTICES)
    for label in on:
        if label in CORTEX_LABELS:
            cortex, score = label.rsplit("_", 1)
            if scores[cortex] is not None:
                raise ValueError(f"cortex {cortex} has two scores, {scores[cortex]} and {score}: expected at most one")
            scores[cortex] = int(score)
    return views[0], scores
