"""What an evaluation says: figures with their intervals, label by label and site by site.

They are computed in evaluation/, and read by audits, tables, charts and the page.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from rustk.metrics.bootstrap import Interval, percentile_interval
from rustk.metrics.calibration import Reliability
from rustk.metrics.ranking import FloatArray, mean_defined

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Figure:
    """One number about predictions, with its interval and what a reader must know of it.

    values: the figure and its resamples, [1 + R], the figure first; of a mean over labels, those of each label,
    [labels, 1 + R], NaN where a label has none.
    """

    key: str
    title: str
    interval: Interval
    better: Better = "higher"
    chance: float | None = None  # what no knowledge at all scores, where that is a fixed number
    undefined: int = 0  # labels that had no value and are not in the mean
    note: str = ""
    bounds: tuple[float, float] = (0.0, 1.0)  # from where to where it is drawn
    values: FloatArray = field(default_factory=lambda: np.empty(0), repr=False, compare=False)

    @property
    def value(self) -> float:
        return self.interval.value

    @property
    def resampled(self) -> FloatArray:
        """The figure in each resample, [R]."""
        return self._means()[1:]

    def shared_labels(self, other: "Figure") -> int | None:
        """Over how many labels the difference to `other` is taken; None for what is no mean over labels."""
        return None if self.values.ndim < 2 else int(self._both(other).sum())

    def minus(self, other: "Figure") -> Interval:
        """The paired difference to `other`, counted on the same resamples, with its interval.

        Of two means over labels only the labels count that both define: NaN where there are none.
        """
        if self.values.ndim < 2:
            difference = self.values - other.values
        else:
            both = self._both(other)
            difference = mean_defined(self.values[both], axis=0) - mean_defined(other.values[both], axis=0)
        return percentile_interval(float(difference[0]), difference[1:])

    def _both(self, other: "Figure") -> np.ndarray:
        return np.isfinite(self.values[:, 0]) & np.isfinite(other.values[:, 0])

    def _means(self) -> FloatArray:
        return self.values if self.values.ndim < 2 else mean_defined(self.values, axis=0)


@dataclass(frozen=True)
class SiteAgreement:
    """One site, over the images on which it is scored."""

    site: str
    scores: tuple[int, ...]  # k of them
    confusion: FloatArray  # [k, k]: true score x predicted score
    calibration: Reliability  # of its k labels together, over the images of the views that show it


@dataclass(frozen=True)
class Evaluation:
    """All figures of one set of predictions over one cohort."""

    figures: dict[str, Figure]
    labels: pd.DataFrame  # one row a label: label, images, auroc, in_view_auroc, precision, recall, f1 (NaN: undefined)
    sites: tuple[SiteAgreement, ...]
    images: int
    patients: int
    visits: int  # with a total; 0 where the instrument has none
    knows_patients: bool = True  # False: `patients` are images, each counted by itself

    @property
    def drawn(self) -> str:
        """What resamples are drawn of."""
        return "patients" if self.knows_patients else "images"

    def __getitem__(self, key: str) -> Figure:
        return self.figures[key]

    def __contains__(self, key: str) -> bool:
        return key in self.figures
