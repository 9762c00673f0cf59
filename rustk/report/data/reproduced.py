"""Whether stored predictions give the figure of merit that the histories record."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rustk.metrics import thresholded
from rustk.report.data.aggregate import MERIT
from rustk.report.data.cohort import Cohort

_REPRODUCED = 1e-6


class RecordedMerit:
    """The figure of merit of each trial, epoch and fold, as the histories have it."""

    def __init__(self, histories: pd.DataFrame) -> None:
        self._recorded = histories.set_index(["trial", "epoch", "fold"])[MERIT].to_dict()

    def unlike(
        self, trial: int, epoch: int, cohort: Cohort, probabilities: NDArray[np.float32]
    ) -> tuple[int, float] | None:
        """The fold whose predictions differ most from what is recorded, and by how much; None within 1e-6.

        probabilities: [n, L], of the cohort's images. A fold that is not recorded is left out.
        """
        worst, worst_fold = _REPRODUCED, None
        for fold in np.unique(cohort.folds).tolist():
            recorded = self._recorded.get((trial, epoch, fold))
            if recorded is None:
                continue
            here = cohort.folds == fold
            found = thresholded.auroc(cohort.truth[here].astype(np.float32), probabilities[here])
            if (difference := abs(found - float(recorded))) > worst:
                worst, worst_fold = difference, fold
        return None if worst_fold is None else (worst_fold, worst)
