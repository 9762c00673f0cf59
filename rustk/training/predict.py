"""A run's final model, from the store: a probability for each label of images."""

import hashlib
import tempfile
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from rustk.store import Store
from rustk.store.remedies import damaged
from rustk.store.seal import read_card
from rustk.training.grad_cam import Explainer
from rustk.training.objectives import find_objective
from rustk.training.scores import ImageScores, read_scores
from rustk.training.sources import to_inputs
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy, KeyMissing, one_line

# Images at a time; more would take memory, and no time less.
_BATCH = 32


class FinalModel:
    """A run's final model, from the store. `card` is what was written beside it (docs/store.md)."""

    def __init__(self, store: Store, run: str) -> None:
        """Raises BadStudy where the run has no final model, BadData where it is not the one that its card describes."""
        card = read_card(store, run)
        if card is None:
            raise BadStudy(f"run {run} has no final model: make one with `rustk final {run}`")
        key = names.model_key(run)
        try:
            data = store.read(key)
        except KeyMissing as error:
            raise damaged(key, f"{error}, though its card is there") from None
        self.card = card
        self._store = store
        self._run = run
        self._model = _decode_model(data, key, card.model_sha256)
        self._check_card(names.model_card_key(run))

    def _check_card(self, key: str) -> None:
        """Raise BadData, and BadStudy for an unknown objective, where the card describes another model."""
        shape, outputs = tuple(self._model.input_shape[1:]), self._model.output.shape[-1]
        if shape[:2] != self.image_shape:
            raise damaged(
                key,
                f"{key}: data.image_shape = {list(self.card.data.image_shape)}: the model takes images of "
                f"{shape[0]} x {shape[1]}",
            )
        find_objective(self.card.model.get("objective", "onehot"), self.card.instrument)
        if outputs != len(self.card.instrument.labels):
            raise damaged(
                key,
                f"{key}: instrument: {self.card.instrument.name} has {len(self.card.instrument.labels)} labels, the "
                f"model gives {outputs}",
            )

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

    def explainer(self) -> Explainer:
        """What draws the maps of its sites, with their control where the model has one. Raises BadData for a control
        that is not the one that the card describes."""
        objective = find_objective(self.card.model.get("objective", "onehot"), self.card.instrument)
        control = None
        if self.card.shuffled_head_sha256 is not None:
            key = names.shuffled_head_key(self._run)
            try:
                control = _decode_model(self._store.read(key), key, self.card.shuffled_head_sha256)
            except KeyMissing:
                raise damaged(key, f"{key} is missing, its card names it") from None
        return Explainer(self._model, objective, control)


def encode_model(model: keras.Model) -> bytes:
    """A model as the bytes of a .keras file."""
    with tempfile.TemporaryDirectory(prefix="rustk-model-") as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def _decode_model(data: bytes, key: str, sha256: str) -> keras.Model:
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise damaged(key, f"{key} has sha256 {found[:12]}, its card says {sha256[:12]}")
    with tempfile.TemporaryDirectory(prefix="rustk-model-") as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(data)
        try:
            return keras.models.load_model(path, compile=False)
        except Exception as error:  # noqa: BLE001 - of a damaged archive Keras raises whatever it comes upon
            why = one_line(str(error).replace(str(path), "model.keras"), 200)
            raise damaged(key, f"{key}: Keras can't load this model ({why})") from None


def predict_images(model: keras.Model, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """What a model gives, float32 [images, outputs], in inference mode, for grey uint8 [images, height, width]."""
    parts = [
        np.asarray(model(to_inputs(images[at : at + _BATCH]), training=False), np.float32)
        for at in range(0, len(images), _BATCH)
    ]
    return np.concatenate([np.zeros((0, model.output.shape[-1]), np.float32), *parts])
