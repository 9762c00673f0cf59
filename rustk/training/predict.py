"""What a final model says of images: a probability for each label, the sites' scores, and the total of a visit."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from rustk.store import Store
from rustk.store.seal import read_card
from rustk.training.sources import to_inputs
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy, KeyMissing
from rustk.vocabulary.instrument import Instrument

# Images at a time; more would take memory, and no time less.
_BATCH = 32


@dataclass(frozen=True)
class SiteScore:
    """A site's most probable score, and how probable each score is, given that the site can be scored."""

    score: int
    probabilities: Mapping[int, float]


@dataclass(frozen=True)
class ImageScores:
    """What a model says of one image: which view it is, how sure that is, and a score for each site that it shows.

    view_probability: 1 where the instrument has a single view.
    """

    view: str
    view_probability: float
    sites: Mapping[str, SiteScore]


class FinalModel:
    """A run's final model, from the store. `card` is what was written beside it (docs/store.md)."""

    def __init__(self, store: Store, run: str) -> None:
        """Raises BadStudy where the run has no final model, BadData where it is not the one that its card describes."""
        card = read_card(store, run)
        key = names.model_key(run)
        try:
            data = store.read(key)
        except KeyMissing:
            card = None
        if card is None:
            raise BadStudy(f"run {run} has no final model: make one with `rustk final {run}`")
        self.card = card
        found = hashlib.sha256(data).hexdigest()
        if found != card.model_sha256:
            raise BadData(f"{key} has sha256 {found[:12]}, its card says {card.model_sha256[:12]}")
        with tempfile.TemporaryDirectory(prefix="rustk-model-") as folder:
            path = Path(folder) / "model.keras"
            path.write_bytes(data)
            self._model = keras.models.load_model(path, compile=False)

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of the images that `predict` takes."""
        height, width, _ = self.card.data.image_shape
        return height, width

    def predict(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Probabilities float32 [images, labels] of grey images, uint8 [images, height, width], prepared as the card
        says. Raises BadData for images of another shape.
        """
        if images.shape[1:] != self.image_shape:
            raise BadData(f"images of {images.shape[1:]}: the model takes {self.image_shape}")
        return predict_images(self._model, images)

    def read_scores(self, probabilities: npt.NDArray[np.float32], view: str | None = None) -> ImageScores:
        """The scores that one image's probabilities say; `view`, where it is known, instead of the likeliest one."""
        return read_scores(self.card.instrument, probabilities, self.card.sites_by_view, view)


def predict_images(model: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What a model gives, float32 [images, outputs], in inference mode, for grey uint8 [images, height, width]."""
    parts = [
        np.asarray(model(to_inputs(images[at : at + _BATCH]), training=False), np.float32)
        for at in range(0, len(images), _BATCH)
    ]
    return np.concatenate([np.zeros((0, model.output.shape[-1]), np.float32), *parts])


def read_scores(
    instrument: Instrument,
    probabilities: npt.NDArray[np.float32],
    sites_by_view: Mapping[str, Sequence[str]],
    view: str | None = None,
) -> ImageScores:
    """The scores that one image's probabilities [labels] say, for the sites that its view shows."""
    of_views = dict.fromkeys(instrument.views, 1.0)
    if instrument.view_labels:
        of_views = dict(zip(instrument.views, probabilities[: len(instrument.views)].tolist(), strict=True))
    seen = view or max(of_views, key=lambda name: of_views[name])
    sites = {}
    for site, columns in zip(instrument.sites, instrument.site_columns, strict=True):
        if site.name not in sites_by_view.get(seen, ()):
            continue
        of_scores = probabilities[columns].tolist()
        total = sum(of_scores)
        # Labels may be independent; of a site's one is right, if the site can be scored at all.
        shares = [value / total if total > 0 else 1 / len(of_scores) for value in of_scores]
        best = int(np.argmax(shares))
        sites[site.name] = SiteScore(site.scores[best], dict(zip(site.scores, shares, strict=True)))
    return ImageScores(seen, of_views[seen], sites)


def total_of(instrument: Instrument, images: Sequence[ImageScores]) -> int | None:
    """The instrument's total of the images of one visit; None unless together they show each site just once, or where
    the instrument has no total."""
    scores = [(site, score.score) for image in images for site, score in image.sites.items()]
    if instrument.total is None or sorted(site for site, _ in scores) != sorted(instrument.site_names):
        return None
    return sum(score for _, score in scores)


def meanings(instrument: Instrument, images: Sequence[ImageScores], total: int | None) -> list[str]:
    """What the thresholds that are reached mean, as `union (mRUST total at least 13)`."""
    reached = []
    for threshold in instrument.thresholds:
        if threshold.site is None:
            title = instrument.total.title if instrument.total else ""
            values = [] if total is None else [total]
        else:
            title = threshold.site
            values = [image.sites[threshold.site].score for image in images if threshold.site in image.sites]
        if any(value >= threshold.at for value in values):
            reached.append(f"{threshold.means} ({title} at least {threshold.at})")
    return reached
