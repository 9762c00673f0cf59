"""A line of what is known of a run, for lists of facts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One line. `values` has more than one where folds differ, or where there are several."""

    name: str
    values: tuple[str, ...]
