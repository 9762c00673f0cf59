"""The feature cache: what a frozen backbone makes of each image and flip, computed once and shared by all that agree.

One object of the store holds the features of one shard, under a key made of the backbone's digest and the shard's. All
workers fill the cache together: each begins at a shard of its own and goes round, taking what others finished
meanwhile. Writing is idempotent, and what a crash or a bad disk leaves behind is computed again.
"""

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from rustk.datasets.reading import read_shard
from rustk.planning.study import Model
from rustk.store import Store
from rustk.store.documents import DatasetDocument, Shard
from rustk.training.sources import FLIPS, flip, to_inputs
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, KeyMissing

Features = npt.NDArray[np.float32]

# Raise it when equal settings and seeds must give other features than before: it is a part of every cache key.
FEATURES_VERSION = 2

# Images at a time, each with its four flips. Always as many, with padding at a shard's end: the order in which a
# convolution adds up may depend on the size of its batch, and features may not.
_IMAGES_AT_ONCE = 8
# How often to look whether another worker has finished the shard that this one is computing.
_LOOK_EVERY_SECONDS = 5.0
_READERS = 8


def backbone_digest(
    model: Model,
    image_shape: Sequence[int],
    weights_sha256: str | None,
    seed: int,
    layers: Sequence[Any] | None = None,
    arrays: Iterable[npt.NDArray[Any]] = (),
    precision: str = "float32",
) -> str:
    """What decides features besides the images. Weights without a sha256 are drawn: their name and seed decide.

    layers, arrays: for an architecture of the user's own, which is whatever its function returns, that network's layers
    and all its weights.
    """
    content: dict[str, Any] = {
        "version": FEATURES_VERSION,
        "architecture": model.architecture,
        "weights": weights_sha256 or f"{model.weights}:{seed}",
        "image_shape": list(image_shape),
        "pooling": model.pooling,
    }
    if precision != "float32":
        content["precision"] = precision
    if layers is not None:
        of_weights = hashlib.sha256()
        for array in arrays:
            of_weights.update(np.ascontiguousarray(array).tobytes())
        content |= {"layers": layers, "weights": of_weights.hexdigest()}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class FeatureCache:
    """The features of one dataset's shards by one backbone. `build_extractor` is called when a shard is missing."""

    def __init__(
        self,
        store: Store,
        dataset: DatasetDocument,
        digest: str,
        build_extractor: Callable[[], keras.Model],
    ) -> None:
        self._store = store
        self._dataset = dataset
        self._digest = digest
        self._build_extractor = build_extractor
        self._extract: Callable[[tf.Tensor], tf.Tensor] | None = None

    def load(
        self,
        shards: Sequence[Shard],
        *,
        start: float = 0.0,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Features:
        """The features of shards, in their order: float32 [images, 4, features], flips in the order of `FLIPS`.

        `start` in [0, 1) says where among the missing shards this worker begins. `progress(done, total)` counts shards,
        whoever computed them. Raises BadData for a shard that can't be read or features that are not finite.
        """
        # Fetched side by side, decoded one after another: numpy parses an array's header with `ast`, which before
        # Python 3.11.8 is not safe in several threads (gh-106905: a SystemError).
        with ThreadPoolExecutor(_READERS) as pool:
            found = [_decoded(data, shard) for data, shard in zip(pool.map(self._fetch, shards), shards, strict=True)]
        first = int(start * len(shards))
        for number in [*range(first, len(shards)), *range(first)]:
            if found[number] is None:
                progress(sum(part is not None for part in found), len(shards))
                # Another worker may have been here since.
                part = self._read(shards[number])
                found[number] = self._compute(shards[number]) if part is None else part
                progress(sum(part is not None for part in found), len(shards))
        return np.concatenate([part for part in found if part is not None])

    def _key(self, shard: Shard) -> str:
        return names.feature_key(self._digest, shard.sha256)

    def _fetch(self, shard: Shard) -> bytes | None:
        try:
            return self._store.read(self._key(shard))
        except KeyMissing:
            return None

    def _read(self, shard: Shard) -> Features | None:
        """The cached features of a shard; None where there are none, or where they did not survive."""
        return _decoded(self._fetch(shard), shard)

    def _compute(self, shard: Shard) -> Features:
        """Compute and write the features of one shard, unless another worker is done with it first."""
        images = read_shard(self._store, self._dataset, shard).images
        extract = self._traced()
        parts = []
        looked = time.monotonic()
        for at in range(0, len(images), _IMAGES_AT_ONCE):
            chunk = images[at : at + _IMAGES_AT_ONCE]
            padding = [(0, _IMAGES_AT_ONCE - len(chunk)), (0, 0), (0, 0)]
            features = extract(tf.constant(np.pad(chunk, padding))).numpy()  # [at once * 4, features]
            parts.append(features.reshape(_IMAGES_AT_ONCE, len(FLIPS), -1)[: len(chunk)])
            if time.monotonic() - looked > _LOOK_EVERY_SECONDS:
                if (theirs := self._read_if_there(shard)) is not None:
                    return theirs
                looked = time.monotonic()
        computed: Features = np.concatenate(parts)
        finite = np.isfinite(computed).all(axis=(1, 2))
        if not finite.all():
            raise BadData(
                f"{names.dataset_shard_key(self._dataset.name, shard.key)}, record {int(np.argmin(finite))}: the "
                "backbone's features are not finite: check its weights"
            )
        buffer = io.BytesIO()
        np.savez(buffer, features=computed)
        self._store.write(self._key(shard), buffer.getvalue())
        return computed

    def _read_if_there(self, shard: Shard) -> Features | None:
        return self._read(shard) if self._store.exists(self._key(shard)) else None

    def _traced(self) -> Callable[[tf.Tensor], tf.Tensor]:
        if self._extract is None:
            extractor = self._build_extractor()
            height, width, _ = self._dataset.image_shape

            def extract(images: tf.Tensor) -> tf.Tensor:
                repeated = tf.repeat(images, len(FLIPS), axis=0)  # [at once * 4, height, width]
                flips = tf.tile(tf.range(len(FLIPS)), [_IMAGES_AT_ONCE])
                return tf.cast(extractor(to_inputs(flip(repeated, flips)), training=False), tf.float32)

            spec = tf.TensorSpec([_IMAGES_AT_ONCE, height, width], tf.uint8)
            self._extract = tf.function(extract, input_signature=[spec], autograph=False)
        return self._extract


def start_of(trial: int, fold: int, folds: int) -> float:
    """Where a fold's worker begins among the shards: 0, 1/2, 1/4, 3/4, 1/8... (van der Corput's sequence), so that any
    number of workers that start together stand far apart."""
    number, place, start = trial * folds + fold, 0.5, 0.0
    while number:
        start += place * (number & 1)
        number >>= 1
        place /= 2
    return start


def _decoded(data: bytes | None, shard: Shard) -> Features | None:
    """The features in a cached object; None where there is none, or where it did not survive."""
    if data is None:
        return None
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            features: Features = arrays["features"]  # reading verifies the archive's CRC
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, EOFError, OSError, MemoryError):
        return None
    fits = features.ndim == 3 and features.shape[:2] == (shard.records, len(FLIPS))
    return features if fits and features.dtype == np.float32 and np.isfinite(features).all() else None
