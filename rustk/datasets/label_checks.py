"""What the labels of a table, each right by itself, tell together: what looks wrong, and what limits a figure."""

from collections.abc import Sequence

import numpy as np

from rustk.datasets.label_table import LabelRow
from rustk.vocabulary.instrument import FROM_DATA, Instrument


def encode_rows(rows: Sequence[LabelRow], instrument: Instrument) -> np.ndarray:
    """The labels of the rows, [rows, labels] zeros and ones."""
    return np.array([instrument.encode(row.view, row.scores) for row in rows])


def warn_of_labels(rows: Sequence[LabelRow], instrument: Instrument) -> list[str]:
    """What to be aware of, one line each."""
    return _warn_of_crowded_views(rows, instrument) + _warn_of_absent_labels(rows, instrument)


def _warn_of_crowded_views(rows: Sequence[LabelRow], instrument: Instrument) -> list[str]:
    """Where the data say which view shows a site, a view with scores of more sites than are its share is suspicious:
    somebody may have copied the scores of a visit to all of its images.
    """
    free = [site.name for site in instrument.sites if site.views == FROM_DATA]
    most = -(-len(free) // len(instrument.views))
    found = []
    for view in instrument.views if len(instrument.views) > 1 else ():
        of_view = [row for row in rows if row.view == view]
        shown = [site for site in free if any(row.scores.get(site) is not None for row in of_view)]
        if len(shown) > most:
            word = instrument.words.site if most == 1 else instrument.words.sites
            found.append(
                f"the view {view} has scores for {', '.join(shown)}: with {len(instrument.views)} views, expected "
                f"about {most} {word} in each: make sure that every score was read from its own image"
            )
    return found


def _warn_of_absent_labels(rows: Sequence[LabelRow], instrument: Instrument) -> list[str]:
    """A label that all images have, or none, has no AUROC, and the study's figure counts it as 0."""
    if not rows:
        return []
    share = encode_rows(rows, instrument).mean(axis=0)
    absent = [label for label, one in zip(instrument.labels, share, strict=True) if one in (0.0, 1.0)]
    if not absent:
        return []
    there, count = len(instrument.labels) - len(absent), len(instrument.labels)
    listed = ", ".join(absent[:8]) + (", ..." if len(absent) > 8 else "")
    return [
        f"no AUROC exists for {len(absent)} of {count} labels, for which all images are alike ({listed}): the macro "
        f"AUROC counts {'it' if len(absent) == 1 else 'them'} as 0, and can't exceed {there} of {count} = "
        f"{there / count:.3f}"
    ]
