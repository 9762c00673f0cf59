"""Heat maps against networks whose map is known on paper, and against gradients written out by hand."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from rustk.training import models
from rustk.training.control import shuffle_labels
from rustk.training.examples import Candidate, choose_examples
from rustk.training.grad_cam import Explainer, SiteMap, enlarge
from rustk.training.heat_maps import Heading, draw
from rustk.training.objectives import Objective, find_objective
from rustk.training.scores import ImageScores, SiteScore
from rustk.training.sources import to_inputs
from rustk.vocabulary.kinds import kinds
from tests.instruments import ODD, SINGLE
from tests.training.small_networks import HEIGHT, WIDTH, make_images, small_backbone

pytestmark = pytest.mark.tensorflow

SCORES = {"rim": 2, "core": 3, "seam": 0}


def blocks() -> keras.Model:
    """Images of 8x12 to the means of 4x4 blocks, [2, 3, 2]: what is bright in channel 0, what is dark in channel 1."""
    inputs = keras.Input((8, 12, 3))
    means = keras.layers.AveragePooling2D(4)(inputs)
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0, 0] = (1, -1)
    layer = keras.layers.Conv2D(2, 1, use_bias=False, activation="relu")
    outputs = layer(means)
    layer.set_weights([kernel])
    return keras.Model(inputs, outputs)


def linear_head(features: int, objective: Objective, weights: dict[int, np.ndarray]) -> keras.Model:
    """Logits that are 0 but for those in `weights`: output -> weights of the features."""
    head = models.build_head(features, (), 0.0, objective.outputs, seed=0)
    kernel = np.zeros((features, objective.outputs), np.float32)
    for output, values in weights.items():
        kernel[:, output] = values
    head.set_weights([kernel, np.zeros(objective.outputs, np.float32)])
    return head


@pytest.mark.parametrize("pooling", ["max", "flatten"])
def test_a_map_is_where_the_channel_that_the_head_looks_at_is(pooling: str) -> None:
    """Grade 3 follows what is bright, grade 1 what is dark: the maps are the bright blocks and the dark ones."""
    objective = find_objective("masked", SINGLE)
    extractor = models.build_extractor(blocks(), pooling)
    width = extractor.output.shape[-1]
    bright, dark = (np.eye(2, dtype=np.float32)[channel] for channel in (0, 1))
    head = linear_head(width, objective, {3: np.tile(bright, width // 2), 1: np.tile(dark, width // 2)})
    explainer = Explainer(models.join(extractor, head, objective), objective)
    level = np.array([[255, 255, 128], [0, 128, 191]], np.float32)
    image = np.kron(level, np.ones((4, 4))).astype(np.uint8)
    expected = np.maximum(level / 127.5 - 1, 0)
    found = explainer.explain(image[None], [{"grade": 3}])[0]["grade"]
    assert found.map.shape == (2, 3)
    np.testing.assert_allclose(found.map / found.map.max(), expected / expected.max(), atol=1e-5)
    against = explainer.explain(image[None], [{"grade": 1}])[0]["grade"].map
    expected = np.maximum(1 - level / 127.5, 0)
    np.testing.assert_allclose(against / against.max(), expected / expected.max(), atol=1e-5)
    assert found.control is None
    assert found.agreement is None


@pytest.mark.parametrize("pooling", ["max", "flatten"])
@pytest.mark.parametrize("kind", [name for name in kinds("training/objectives") if name != "base"])
def test_every_objective_and_pooling_against_gradients_by_hand(kind: str, pooling: str) -> None:
    objective = find_objective(kind, ODD)
    backbone = small_backbone((HEIGHT, WIDTH, 3), 0)
    extractor = models.build_extractor(backbone, pooling)
    heads = [models.build_head(extractor.output.shape[-1], (8,), 0.5, objective.outputs, seed) for seed in (1, 2)]
    images = make_images(2)
    explainer = Explainer(models.join(extractor, heads[0], objective), objective, heads[1])
    for image, found in zip(images, explainer.explain(images, [SCORES, SCORES]), strict=True):
        features = backbone(to_inputs(image[None]))
        for site, score in SCORES.items():
            place = list(ODD.labels).index(f"{site}_{score}")
            others = [at for at, label in enumerate(ODD.labels) if label.startswith(f"{site}_") and at != place]
            for head, map_ in ((heads[0], found[site].map), (heads[1], found[site].control)):
                with tf.GradientTape() as tape:
                    tape.watch(features)
                    flat = tf.reshape(features, (1, -1)) if pooling == "flatten" else tf.reduce_max(features, (1, 2))
                    said = objective.probabilities(head(flat))[0]
                    odds = tf.math.log(said[place]) - tf.math.log(sum(said[at] for at in others))
                weights = tape.gradient(odds, features).numpy()[0].mean(axis=(0, 1))
                by_hand = np.maximum((features.numpy()[0] * weights).sum(axis=-1), 0)
                np.testing.assert_allclose(map_, by_hand, rtol=1e-3, atol=1e-6)


def test_a_model_that_is_sure_still_has_a_map() -> None:
    """A softmax of 1 has no gradient left; its log-odds have."""
    objective = find_objective("masked", SINGLE)
    extractor = models.build_extractor(blocks(), "max")
    head = linear_head(2, objective, {3: np.array([60, 0], np.float32)})
    model = models.join(extractor, head, objective)
    image = np.full((1, 8, 12), 255, np.uint8)
    assert model(to_inputs(image)).numpy()[0, 3] == 1
    assert Explainer(model, objective).explain(image, [{"grade": 3}])[0]["grade"].map.max() > 0


def test_agreement_is_the_rank_correlation_of_two_maps() -> None:
    map_ = np.array([[0, 1], [2, 3]], np.float32)
    assert SiteMap(1, map_, map_**2).agreement == pytest.approx(1)
    assert SiteMap(1, map_, 3 - map_).agreement == pytest.approx(-1)
    assert SiteMap(1, map_, np.zeros((2, 2), np.float32)).agreement is None


def test_a_map_is_laid_over_its_image() -> None:
    large = enlarge(np.array([[0, 0], [0, 4]], np.float32), (20, 30))
    assert large.shape == (20, 30)
    assert large.max() == 1
    assert np.unravel_index(large.argmax(), large.shape) >= (10, 15)
    assert enlarge(np.zeros((2, 2), np.float32), (4, 4)).max() == 0

    image = np.full((40, 60), 100, np.uint8)
    control = np.array([[1, 0], [0, 0]], np.float32)
    maps = {"rim": SiteMap(2, np.array([[0, 0], [0, 4]], np.float32), control)}
    with Image.open(io.BytesIO(draw(image, maps, Heading("a", {"rim": "rim: 2"})))) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
        assert not picture.info.keys() & {"Software", "Title", "Creation Time"}
    colourful = np.ptp(pixels, axis=-1) > 100
    height, width = colourful.shape
    panel = colourful[:, : int(0.8 * width)]  # without the bar of colours
    lowest, highest = (panel[part].nonzero() for part in (slice(height // 2), slice(height // 2, None)))
    # The model's panel is bright at its lower right, the control's, below it, at its upper left.
    assert np.median(lowest[1]) > np.median(highest[1])


def test_scores_are_shuffled_among_the_images_of_a_view() -> None:
    views = np.array(["a", "b"] * 50, object)
    labels = np.eye(100, dtype=np.float32)
    dealt = shuffle_labels(labels, views, seed=1)
    came_from = dealt.argmax(axis=1)
    assert sorted(came_from) == list(range(100))
    assert (views[came_from] == views).all()
    assert (came_from == np.arange(100)).mean() < 0.1
    assert (shuffle_labels(labels, views, seed=1) == dealt).all()


def candidate(name: str, patient: str, true: int | None, score: int, sure: float) -> Candidate:
    rest = (1 - sure) / 2
    site = SiteScore(score, {value: sure if value == score else rest for value in (0, 1, 2)})
    unscored = SiteScore(0, {0: 0.99, 1: 0.01})
    return Candidate(name, patient, ImageScores("b", 1.0, {"rim": site, "seam": unscored}), {"rim": true, "seam": None})


def test_examples_are_chosen_by_their_rule() -> None:
    candidates = [
        candidate("sure", "p1", 1, 1, 0.9),
        candidate("surest, of one who is shown", "p1", 1, 1, 0.8),
        candidate("right", "p2", 0, 0, 0.7),
        candidate("far off", "p3", 0, 2, 0.5),
        candidate("off", "p4", 1, 2, 0.6),
        candidate("off and surer", "p5", 1, 2, 0.65),
        candidate("unsure", "p6", 2, 2, 0.4),
    ]
    chosen = [(kind, one.sample_id) for kind, one in choose_examples(candidates, each=2)]
    assert chosen == [
        ("right", "sure"),
        ("right", "right"),
        ("wrong", "far off"),
        ("wrong", "off and surer"),
        ("uncertain", "unsure"),
        ("uncertain", "off"),
    ]
    assert [(kind, one.sample_id) for kind, one in choose_examples(candidates[::-1], each=2)] == chosen
    assert choose_examples([]) == []
