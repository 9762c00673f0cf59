"""What the scores decide: sensitivity and specificity at the totals, or a site's scores, that mean something.

Of a visit or image that reaches the threshold by its true scores, how often the most probable scores reach it too, and
the same for those that don't. A total that several images of a visit leave between two numbers is rounded, halves up.
"""

from collections.abc import Callable

from rustk.metrics.decisions import sensitivity_specificity
from rustk.metrics.ordinal import most_probable_score, rounded
from rustk.metrics.ranking import FloatArray
from rustk.report.evaluation.figures.base import FigureSpec, Judged, site_title
from rustk.report.evaluation.figures.total import without_visits
from rustk.vocabulary.instrument import Instrument, Threshold

ORDER = 50


def figures(instrument: Instrument) -> list[FigureSpec]:
    specs = []
    for threshold in instrument.thresholds:
        of_total = threshold.site is None
        what = instrument.total.title if of_total and instrument.total else site_title(instrument, threshold.site or "")
        for part, name in enumerate(("Sensitivity", "Specificity")):
            specs.append(
                FigureSpec(
                    f"{name.lower()}_{threshold.site or 'total'}_{threshold.at}",
                    f"{name} of {what} ≥ {threshold.at}: {threshold.means}",
                    _part(threshold, part),
                    note=without_visits if of_total else lambda judged: "",
                )
            )
    return specs


def _part(threshold: Threshold, part: int) -> Callable[[Judged], FloatArray]:
    return lambda judged: _decide(judged, threshold)[part]


def _decide(judged: Judged, threshold: Threshold) -> tuple[FloatArray, FloatArray]:
    if threshold.site is None:
        totals = judged.totals
        true, decided, weights = rounded(totals.true), rounded(totals.decided), judged.columns[totals.clusters]
    else:
        number = judged.instrument.site_names.index(threshold.site)
        rows = judged.cohort.scored[:, number]
        given = judged.site_probabilities(number)[rows]
        true, weights = judged.cohort.scores[rows, number], judged.per_image[rows]
        decided = most_probable_score(given, judged.instrument.sites[number].scores)
    return sensitivity_specificity(true >= threshold.at, decided >= threshold.at, weights)
