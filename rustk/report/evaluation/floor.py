"""The floor: what a study must beat before anything was learnt from the image.

A site is often scored in some views only. Whoever knows the view then knows for many images that a site's labels are
absent, and that alone gives mRUST a macro AUROC of about 0.8. The floor's predictions are, for each image, how often
each label occurs among the training folds' images of the same view: no pixel is looked at. Where the instrument has a
single view, they are the frequencies of the labels. They are evaluated like any model's.
"""

import numpy as np
from numpy.typing import NDArray

from rustk.report.data.cohort import Cohort
from rustk.vocabulary.instrument import Instrument


def floor_title(instrument: Instrument | None) -> str:
    """What the floor is called: with a single view there is no view to know."""
    one_view = instrument is not None and len(instrument.views) == 1
    return "Class-frequency floor" if one_view else "View-only floor"


def view_floor(cohort: Cohort) -> NDArray[np.float32]:
    """Probabilities [n, L]: the share of each label among the images of the same view in the other folds.

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
