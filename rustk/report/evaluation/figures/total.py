"""How far the total of a visit is off, for instruments that have a total."""

from rustk.metrics.ordinal import confusion, mean_absolute_error, quadratic_weighted_kappa, rounded
from rustk.metrics.ranking import FloatArray
from rustk.report.evaluation.figures.agreement import KAPPA_BOUNDS
from rustk.report.evaluation.figures.base import FigureSpec, Judged
from rustk.vocabulary.instrument import Instrument

ORDER = 30


def figures(instrument: Instrument) -> list[FigureSpec]:
    if instrument.total is None:
        return []
    low, high = instrument.total_range
    title = instrument.total.title
    return [
        FigureSpec(
            "kappa_total", f"Quadratic weighted kappa, {title}", _kappa, KAPPA_BOUNDS, chance=0.0, note=without_visits
        ),
        FigureSpec(
            "mae_total",
            f"Mean absolute error, {title}",
            _error,
            (0.0, (high - low) / 2),
            better="lower",
            note=without_visits,
        ),
    ]


def without_visits(judged: Judged) -> str:
    """Why there is no total; empty where there is one."""
    if len(judged.totals.true):
        return ""
    return f"no visit of a known patient has a score of every {judged.instrument.words.site}"


def _kappa(judged: Judged) -> FloatArray:
    totals, (low, high) = judged.totals, judged.instrument.total_range
    places = rounded(totals.true) - low, rounded(totals.decided) - low
    return quadratic_weighted_kappa(confusion(*places, high - low + 1, judged.columns[totals.clusters]))


def _error(judged: Judged) -> FloatArray:
    totals = judged.totals
    return mean_absolute_error(totals.true, totals.expected, judged.columns[totals.clusters])
