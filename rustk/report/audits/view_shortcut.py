"""Whether what the best trial scores can be had without looking at the bone: from the view alone or, with a single
view, from chance."""

import numpy as np

from rustk.report.audits.base import Context, Finding
from rustk.report.data.evaluated import Evaluation

ORDER = 50

# A macro AUROC this little below the floor, or anything above it, may come from the view alone.
_NEAR_FLOOR = 0.02


def audit(context: Context) -> list[Finding]:
    """One finding; nothing without predictions."""
    if context.best is None or context.floor is None or context.judged is None:
        return []
    if len(context.judged.instrument.views) == 1:
        return [audit_chance(context.best)]
    return [audit_view_shortcut(context.best, context.floor)]


def audit_view_shortcut(best: Evaluation, floor: Evaluation) -> Finding:
    """Whether the best trial tells more than the view does."""
    within, pooled, known = best["auroc_in_view"].interval, best["auroc_200"].value, floor["auroc_200"].value
    bounds = f"{within.value:.3f} [{within.low:.3f}, {within.high:.3f}]"
    if np.isnan(within.value) or np.isnan(within.low):
        return Finding("view-shortcut", "note", "In-view AUROC is undefined: no view and fold has a pair to rank.")
    if within.low > 0.5:
        sentence = f"The best trial ranks images of one view above chance: in-view AUROC {bounds}."
        return Finding("view-shortcut", "clean", sentence)
    if pooled >= known - _NEAR_FLOOR:
        return Finding(
            "view-shortcut",
            "fault",
            f"The best trial may know nothing but the view: among images of one view it is not shown to rank better "
            f"than chance (in-view AUROC {bounds}), and its macro AUROC of {pooled:.3f} is about what the view alone "
            f"scores ({known:.3f}).",
        )
    sentence = (
        f"The best trial is not shown to rank images of one view better than chance (in-view AUROC {bounds}), and its "
        f"macro AUROC of {pooled:.3f} is below what the view alone scores ({known:.3f})."
    )
    return Finding("view-shortcut", "warning", sentence)


def audit_chance(best: Evaluation) -> Finding:
    """The same with a single view: whether the best trial tells more than how often each score occurs."""
    within = best["auroc_in_view"].interval
    bounds = f"{within.value:.3f} [{within.low:.3f}, {within.high:.3f}]"
    if np.isnan(within.value) or np.isnan(within.low):
        return Finding("above-chance", "note", "Within-fold AUROC is undefined: no fold has a pair to rank.")
    if within.low > 0.5:
        sentence = f"The best trial ranks the images of a fold above chance: within-fold AUROC {bounds}."
        return Finding("above-chance", "clean", sentence)
    sentence = f"The best trial is not shown to rank the images of a fold above chance: within-fold AUROC {bounds}."
    return Finding("above-chance", "fault", sentence)
