"""How far the scores of each site are off: kappa of the most probable score, mean absolute error of the expected."""

from functools import partial

import numpy as np

from rustk.metrics.ordinal import (
    confusion,
    expected_score,
    mean_absolute_error,
    most_probable_score,
    quadratic_weighted_kappa,
)
from rustk.metrics.ranking import FloatArray, IntArray
from rustk.report.evaluation.figures.base import FigureSpec, Judged, site_title
from rustk.vocabulary.instrument import Instrument

ORDER = 20

KAPPA_BOUNDS = (-0.2, 1.0)


def figures(instrument: Instrument) -> list[FigureSpec]:
    kappas, errors = [], []
    for number, site in enumerate(instrument.sites):
        title = site_title(instrument, site.name)
        kappas.append(
            FigureSpec(
                f"kappa_{site.name}",
                f"Quadratic weighted kappa, {title}",
                partial(_kappa, number=number),
                KAPPA_BOUNDS,
                chance=0.0,
            )
        )
        errors.append(
            FigureSpec(
                f"mae_{site.name}",
                f"Mean absolute error, {title}",
                partial(_error, number=number),
                (0.0, (site.scores[-1] - site.scores[0]) * 2 / 3),
                better="lower",
            )
        )
    return kappas + errors + (_means(instrument) if len(instrument.sites) > 1 else [])


def _means(instrument: Instrument) -> list[FigureSpec]:
    """The sites' figures in one number, each site weighing the same; NaN where one of them has none."""
    sites, title = range(len(instrument.sites)), f"mean of the {instrument.words.sites}"
    widest = max(site.scores[-1] - site.scores[0] for site in instrument.sites)
    return [
        FigureSpec(
            "kappa_mean",
            f"Quadratic weighted kappa, {title}",
            lambda judged: np.mean([_kappa(judged, number) for number in sites], axis=0),
            KAPPA_BOUNDS,
            chance=0.0,
        ),
        FigureSpec(
            "mae_mean",
            f"Mean absolute error, {title}",
            lambda judged: np.mean([_error(judged, number) for number in sites], axis=0),
            (0.0, widest * 2 / 3),
            better="lower",
        ),
    ]


def site_places(judged: Judged, number: int) -> tuple[IntArray, IntArray]:
    """(true, predicted) scores of a site as places among its scores, of the images on which it is scored."""
    site, rows = judged.instrument.sites[number], judged.cohort.scored[:, number]
    predicted = most_probable_score(judged.site_probabilities(number)[rows], site.scores)
    scores = np.array(site.scores)
    return np.searchsorted(scores, judged.cohort.scores[rows, number]), np.searchsorted(scores, predicted)


def _kappa(judged: Judged, number: int) -> FloatArray:
    scores, rows = judged.instrument.sites[number].scores, judged.cohort.scored[:, number]
    matrix = confusion(*site_places(judged, number), len(scores), judged.per_image[rows])
    return quadratic_weighted_kappa(matrix, scores)


def _error(judged: Judged, number: int) -> FloatArray:
    scores, rows = judged.instrument.sites[number].scores, judged.cohort.scored[:, number]
    expected = expected_score(judged.site_probabilities(number)[rows], scores)
    return mean_absolute_error(judged.cohort.scores[rows, number], expected, judged.per_image[rows])
