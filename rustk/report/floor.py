"""The view floor: what a study must beat before anything was learnt from the bone.

A cortex is scored in one view only. Whoever knows the view knows for half the images that a cortex label is absent,
and that alone gives a macro AUROC of about 0.8. The floor's predictions are, for each image, how often each label
occurs among the training folds' images of the same view: no pixel is looked at. They are evaluated like any model's.
"""

import numpy as np
from numpy.typing import NDArray

from rustk.report.cohort import Cohort


def view_floor(cohort: Cohort) -> NDArray[np.float32]:
    """Probabilities [n, 18]: the share of each label among the images of the same view in the other folds.

    A view that the other folds lack gets their share over all views; with a single fold (nothing to train on) the
    shares are those of the cohort itself.
    """
    probabilities = np.empty(cohort.truth.shape, dtype=np.float32)
    folds = np.unique(cohort.folds)
    for fold in folds:
        training = cohort.folds != fold if len(folds) > 1 else np.ones(len(cohort), dtype=bool)
        for view in np.unique(cohort.views.astype(str)):
            same = training & (cohort.views == view)
            source = same if same.any() else training
            probabilities[(cohort.folds == fold) & (cohort.views == view)] = cohort.truth[source].mean(axis=0)
    return probabilities
