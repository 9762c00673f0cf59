"""The control of the final model's heat maps: a head trained as the model's was, on scores shuffled among images.

J. Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018, the data randomization test. Scores are shuffled among
the images of one view, so that the control knows all that the view tells, how often each score occurs and how the
scores of an image go together, and nothing of what scores look like. Only the head is trained anew: a frozen backbone
never saw a score.
"""

import keras
import numpy as np
import numpy.typing as npt

from rustk.training.initial_weights import draw_weights
from rustk.training.loop import Progress, Trainer, train
from rustk.training.run_worker import Trained, Training, task_of
from rustk.training.seeds import derive_seed


def train_control(training: Training, trained: Trained, views: npt.NDArray[np.object_]) -> keras.Model | None:
    """A head trained on shuffled labels; None where the model was trained through images, which would take as long
    again, and where the training diverges. views: of each image of the source."""
    trainer = trained.trainer
    if trainer.extractor is not None:
        return None
    seed = derive_seed("shuffled scores", training.seed)
    head = keras.models.clone_model(trainer.head)
    draw_weights(head, derive_seed("head", seed))
    control = Trainer(
        head,
        trainer.source,
        shuffle_labels(trainer.labels, views, seed),
        trainer.objective,
        smoothing=trainer.smoothing,
        weighs_classes=training.study.training.class_weights != "none",
    )
    control.restart(training.study.training.learning_rate, training.study.training.epsilon)
    progress = train(control, task_of(training), Progress())
    return None if progress.diverged_epoch is not None else head


def shuffle_labels(
    labels: npt.NDArray[np.float32], views: npt.NDArray[np.object_], seed: int
) -> npt.NDArray[np.float32]:
    """The rows of `labels` [images, labels] dealt out anew among the images of each view."""
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, 0], np.uint64)))
    dealt = labels.copy()
    for view in sorted(set(views.tolist())):
        rows = np.flatnonzero(views == view)
        dealt[rows] = labels[generator.permutation(rows)]
    return dealt
