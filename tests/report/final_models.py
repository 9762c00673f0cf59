"""A run's final model as its card says, and examples of its test with pictures."""

import hashlib
import io
from datetime import UTC, datetime

import numpy as np
from PIL import Image

from rustk.report.evaluation.examples import Pictures
from rustk.report.evaluation.sealed import SealedTest
from rustk.store.card import CardData, CardSeal, CardTest, Chosen, Example, ExampleSite, ModelCard
from rustk.store.documents import NamedWeights
from tests.instruments import MRUST


def card(run: str, shuffled_head_sha256: str | None = None) -> ModelCard:
    return ModelCard(
        run=run,
        study="planted",
        instrument=MRUST,
        chosen=Chosen(trial=1, epochs=2, by="given"),
        hyperparameters={},
        in_effect={},
        model={},
        model_sha256="ab" * 32,
        shuffled_head_sha256=shuffled_head_sha256,
        weights=NamedWeights(name="imagenet"),
        data=CardData(dataset="phantom", digest="0" * 64, image_shape=(299, 299, 1)),
        sites_by_view={},
        seeds={"study": 1},
        device="cpu",
        versions={},
        limits=("A limit.",),
        test=CardTest(images=1, patients=1, visits=1, epoch={}, figures={}),
        seal=CardSeal(opening=1, opened=datetime(2024, 5, 1, 10, tzinfo=UTC), openings=1),
    )


def pictured(run: str, *, controlled: bool = True) -> SealedTest:
    """A tested model with an example of each kind, in pictures as large as heat maps of two sites are."""
    pixels = np.random.default_rng(0).integers(0, 256, (600, 765), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).quantize(4).save(buffer, "PNG")
    picture = buffer.getvalue()
    shown = tuple(
        Example(
            kind=kind,
            sample_id=f"image-{number:05d}",
            view="ap",
            file=f"{number:02d}-{kind}.png",
            sha256=hashlib.sha256(picture).hexdigest(),
            sites=(
                ExampleSite(
                    site="medial",
                    truth=3,
                    score=score,
                    probabilities=(0.1, 0.2, 0.6, 0.1),
                    agreement=-0.25 if controlled else None,
                ),
                ExampleSite(site="lateral", truth=None, score=1, probabilities=(0.7, 0.1, 0.1, 0.1)),
            ),
        )
        for number, (kind, score) in enumerate((("right", 3), ("wrong", 1), ("uncertain", 3)), start=1)
    )
    described = card(run, "cd" * 32 if controlled else None)
    return SealedTest(
        card=described, known=True, pictures=Pictures("Chosen by rule.", tuple((e, picture) for e in shown))
    )
