"""Why folds wait, each reason once: what a scheduler says of a thousand pods differs in numbers, names and order."""

import re
from collections import Counter
from collections.abc import Iterable

from rustk.planning.progress import FoldStatus


def grouped_reasons(folds: Iterable[FoldStatus]) -> list[tuple[int, str]]:
    """(how many folds, their most common spelling) of every kind of reason, the most frequent first."""
    spellings: dict[tuple[str, ...], Counter[str]] = {}
    for fold in folds:
        if fold.reason:
            spellings.setdefault(_kind_of(fold.reason), Counter())[fold.reason] += 1
    grouped = sorted(spellings.values(), key=lambda spelled: -spelled.total())
    return [(spelled.total(), spelled.most_common(1)[0][0]) for spelled in grouped]


def _kind_of(reason: str) -> tuple[str, ...]:
    parts = re.split(r"[,;.:] ", re.sub(r"\S*\d\S*", "#", f"{reason} "))
    return tuple(sorted(" ".join(part.split()).strip(".,;:# ") for part in parts))
