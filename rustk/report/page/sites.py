"""Site by site: how well probabilities are calibrated, and which scores are mistaken for which."""

import math
from typing import Any

from rustk.report.charts.base import Dot, Line, Mark, Panel, linear_axis
from rustk.report.data.evaluated import SiteAgreement
from rustk.report.data.words import counted
from rustk.report.evaluation.analysis import Analysis
from rustk.report.page.render import panel_block


def site_blocks(analysis: Analysis) -> list[dict[str, Any]]:
    """A block for each site of the instrument for the template; none where the run was not evaluated."""
    if analysis.best is None:
        return []
    return [
        {
            "name": agreement.site,
            "images": counted(int(agreement.confusion.sum()), "image"),
            "chart": panel_block(reliability_panel(agreement), 240, 240, "small")["svg"],
            "error": f"{agreement.calibration.expected_error:.3f}",
            "scores": agreement.scores,
            "labels": len(agreement.scores),
            "rows": [_confusion_row(counts) for counts in agreement.confusion],
        }
        for agreement in analysis.best.sites
    ]


def reliability_panel(agreement: SiteAgreement) -> Panel:
    """Observed share against predicted probability, with the diagonal; dots grow with the bin's images."""
    curve = agreement.calibration
    filled = curve.count > 0
    predicted, observed = curve.predicted[filled].tolist(), curve.observed[filled].tolist()
    counts = curve.count[filled].tolist()
    largest = max(counts, default=1)
    marks: list[Mark] = [Line((0.0, 1.0), (0.0, 1.0), "diagonal"), Line(predicted, observed, "mean val")]
    for p, o, count in zip(predicted, observed, counts, strict=True):
        told = f"predicted {p:.3f}, observed {o:.3f}, {counted(int(count), 'label')}"
        marks.append(Dot(p, o, "trial", tip=told, size=2.0 + 3.2 * math.sqrt(count / largest)))
    return Panel(
        x=linear_axis("Predicted probability", 0.0, 1.0, about=4),
        y=linear_axis("Observed share", 0.0, 1.0, about=4),
        marks=tuple(marks),
        alt=f"Reliability curve: {agreement.site}",
    )


def _confusion_row(counts: Any) -> list[dict[str, str]]:
    total = counts.sum()
    return [{"count": f"{int(n):,}", "share": f"{n / total if total else 0.0:.2f}"} for n in counts]
