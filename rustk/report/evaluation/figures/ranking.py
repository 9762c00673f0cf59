"""How well images are ranked: the studies' AUROC, and the exact ones.

The AUROCs named after labels are means over the folds; the in-view one counts pairs within one view and fold.
"""

from rustk.metrics.ranking import FloatArray, keras_bins
from rustk.metrics.selection import figure_under_weights
from rustk.report.evaluation.figures.base import FigureSpec, Judged
from rustk.vocabulary.instrument import Instrument

ORDER = 10

_CHANCE = 0.5
_BOUNDS = (0.4, 1.0)


def figures(instrument: Instrument) -> list[FigureSpec]:
    labels, scores = len(instrument.labels), len(instrument.score_labels)
    these = f"{scores} {instrument.words.site} labels"
    title = f"Macro AUROC, {labels} labels, 200 thresholds (the studies' figure)"
    specs = [FigureSpec("auroc_200", title, _studies, _BOUNDS, _CHANCE)]
    # With a single view the labels are those of the scores, and the figures are one.
    if instrument.view_labels:
        title = f"Macro AUROC, {labels} labels, exact"
        specs.append(FigureSpec("auroc_labels", title, lambda judged: judged.auroc, _BOUNDS, _CHANCE))
    return [
        *specs,
        FigureSpec(
            "auroc_scores",
            f"Macro AUROC, {these}, exact",
            lambda judged: judged.auroc[instrument.score_columns],
            _BOUNDS,
            _CHANCE,
        ),
        FigureSpec(
            "auroc_in_view",
            f"{in_view_title(instrument)}, {these}, exact",
            lambda judged: judged.in_view_auroc[instrument.score_columns],
            _BOUNDS,
            _CHANCE,
        ),
    ]


def in_view_title(instrument: Instrument) -> str:
    """What the AUROC over pairs of one view and fold is called: with a single view, the fold is what is left."""
    return "In-view AUROC" if len(instrument.views) > 1 else "Within-fold AUROC"


def _studies(judged: Judged) -> FloatArray:
    cohort = judged.cohort
    return figure_under_weights(
        cohort.truth, keras_bins(judged.probabilities), cohort.folds, cohort.clusters, judged.columns
    )
