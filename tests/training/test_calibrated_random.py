"""Random weights that are worth freezing: what Keras's initialisers give at this depth a head can't learn from."""

import keras
import numpy as np
import pytest

from rustk.datasets.phantom.cohort import plan_cohort
from rustk.datasets.phantom.drawing import draw
from rustk.metrics.thresholded import auroc_by_label
from rustk.training import models
from rustk.training.backbones import find_backbone
from rustk.training.loop import Progress, Trainer, TrainingTask, train
from rustk.training.objectives import find_objective
from rustk.training.sources import FeatureSource, to_inputs
from tests.instruments import MRUST

pytestmark = pytest.mark.tensorflow


def test_calibrated_random_inception_has_features_that_a_head_learns_from() -> None:
    """What Keras's initialiser gives at this depth is below 1e-3 and all but equal for all images."""
    size, images = 75, 150
    plans = plan_cohort(MRUST, images, 0)
    pixels = np.stack([draw(plan, MRUST, size=size, seed=0) for plan in plans])
    labels = np.array([MRUST.encode(plan.view, plan.scores) for plan in plans], np.float32)
    backbone = find_backbone("inception_v3")
    network = backbone.build((size, size, 1))
    backbone.draw(network, 0, "calibrated-random")
    first = next(layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D))
    glorot = np.sqrt(6 / (9 * 3 + 9 * 32))  # no kernel that Keras draws is beyond
    assert np.abs(first.kernel.numpy()).max() > 1.5 * glorot
    extractor = models.build_extractor(network, "max")
    found = np.concatenate(
        [extractor(to_inputs(pixels[at : at + 40]), training=False).numpy() for at in range(0, images, 40)]
    )
    assert 0.2 < found.std() < 10
    assert 0.05 < found.mean() < 10
    assert (found.max(axis=0) == 0).mean() < 0.02, "few features are dead"
    between_images = found.std(axis=0).mean()
    assert between_images > 0.2 * found.std()

    objective = find_objective("onehot", MRUST)
    head = models.build_head(found.shape[1], (64,), 0.0, objective.outputs, seed=0)
    numbers = np.arange(images, dtype=np.int32)
    task = TrainingTask(numbers[numbers % 3 > 0], numbers[numbers % 3 == 0], 20, 40, 1e-3, 1e-7, (), 0)
    trainer = Trainer(head, FeatureSource(np.repeat(found[:, None], 4, axis=1)), labels, objective)
    trainer.optimizer.restart(task.learning_rate, task.epsilon)
    progress = train(trainer, task, Progress())
    areas = auroc_by_label(labels[task.validation], progress.predictions[-1])
    assert areas[0] > 0.7, "the view is learnt"
    assert progress.rows[-1]["loss"] < 0.8 * progress.rows[0]["loss"]
