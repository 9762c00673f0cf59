"""What a yes at a probability of 0.5 is worth, label by label, averaged over the labels."""

from collections.abc import Callable

from rustk.metrics.ranking import FloatArray
from rustk.report.evaluation.figures.base import FigureSpec, Judged
from rustk.vocabulary.instrument import Instrument

ORDER = 40


def figures(instrument: Instrument) -> list[FigureSpec]:
    over = f"at 0.5, macro average over {len(instrument.labels)} labels"
    return [FigureSpec(name.lower(), f"{name} {over}", _part(name.lower())) for name in ("Precision", "Recall", "F1")]


def _part(name: str) -> Callable[[Judged], FloatArray]:
    return lambda judged: getattr(judged.decided, name)
