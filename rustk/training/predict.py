"""What a final model says of images: 18 probabilities, four scores, and the RUST total of a pair of views."""

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from rustk.store import Store
from rustk.training.sources import to_inputs
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy, KeyMissing
from rustk.vocabulary.labels import LABELS, SCORES, VIEWS

# Images at a time; more would take memory, and no time less.
_BATCH = 32


@dataclass(frozen=True)
class CortexScore:
    """A cortex's most probable score, and how probable each score is, given that the cortex can be scored."""

    score: int
    probabilities: Mapping[int, float]


@dataclass(frozen=True)
class ImageScores:
    """What a model says of one image: which view it is, how sure that is, and a score for each cortex it shows."""

    view: str
    view_probability: float
    cortices: Mapping[str, CortexScore]


class FinalModel:
    """A run's final model, from the store. `card` is what was written beside it (docs/store.md)."""

    def __init__(self, store: Store, run: str) -> None:
        """Raises BadStudy where the run has no final model, BadData where it is not the one that its card describes."""
        try:
            self.card: dict[str, Any] = json.loads(store.read(names.model_card_key(run)))
            data = store.read(names.model_key(run))
        except KeyMissing:
            raise BadStudy(f"run {run} has no final model: make one with `rustk final {run}`") from None
        found = hashlib.sha256(data).hexdigest()
        if found != self.card["model_sha256"]:
            raise BadData(
                f"{names.model_key(run)} has sha256 {found[:12]}, its card says {self.card['model_sha256'][:12]}"
            )
        with tempfile.TemporaryDirectory(prefix="rustk-model-") as folder:
            path = Path(folder) / "model.keras"
            path.write_bytes(data)
            self._model = keras.models.load_model(path, compile=False)

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of the images that `predict` takes."""
        height, width, _ = self.card["data"]["image_shape"]
        return height, width

    def predict(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Probabilities float32 [images, 18] of grey images, uint8 [images, height, width], prepared as the card says.

        Raises BadData for images of another shape.
        """
        if images.shape[1:] != self.image_shape:
            raise BadData(f"images of {images.shape[1:]}: the model takes {self.image_shape}")
        return predict_images(self._model, images)

    def read_scores(self, probabilities: npt.NDArray[np.float32], view: str | None = None) -> ImageScores:
        """The scores that one image's 18 probabilities say; `view`, where it is known, instead of the likelier one."""
        return read_scores(probabilities, self.card["cortices_by_view"], view)


def predict_images(model: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Probabilities float32 [images, 18] of grey images, uint8 [images, height, width], in inference mode."""
    parts = [
        np.asarray(model(to_inputs(images[at : at + _BATCH]), training=False), np.float32)
        for at in range(0, len(images), _BATCH)
    ]
    return np.concatenate([np.zeros((0, len(LABELS)), np.float32), *parts])


def read_scores(
    probabilities: npt.NDArray[np.float32], cortices_by_view: Mapping[str, Sequence[str]], view: str | None = None
) -> ImageScores:
    """The scores that one image's 18 probabilities say, for the cortices that its view shows."""
    named = dict(zip(LABELS, probabilities.tolist(), strict=True))
    of_views = {name: named[f"view_{name}"] for name in VIEWS}
    seen = view or max(of_views, key=lambda name: of_views[name])
    cortices = {}
    for cortex in cortices_by_view[seen]:
        of_scores = [named[f"{cortex}_{score}"] for score in SCORES]
        total = sum(of_scores)
        # The labels are independent sigmoids; of those four one is right, if the cortex can be scored at all.
        shares = [value / total if total > 0 else 1 / len(SCORES) for value in of_scores]
        best = int(np.argmax(shares))
        cortices[cortex] = CortexScore(SCORES[best], dict(zip(SCORES, shares, strict=True)))
    return ImageScores(seen, of_views[seen], cortices)


def rust_total(images: Sequence[ImageScores]) -> int | None:
    """The RUST total, 4 to 16, of the images of one visit; None unless together they show each cortex just once."""
    scores = [(cortex, score.score) for image in images for cortex, score in image.cortices.items()]
    if len(scores) != 4 or len({cortex for cortex, _ in scores}) != 4:
        return None
    return sum(score for _, score in scores)
