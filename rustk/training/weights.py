"""Backbone weights from files: what is in them, whether they fit, and putting them into the store."""

import hashlib
import io
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from rustk.datasets.weights import SUFFIXES, WeightsEntry, encode_entry, find_weights
from rustk.planning.study import Model
from rustk.store import Store
from rustk.training.models import INCEPTION_V3, build_backbone
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, BadStudy, KeyMissing

# Convolution kernels don't depend on the size of the images: the smallest is the quickest to build.
_SMALLEST = (75, 75, 3)

LayerWeights = list[np.ndarray]


def add_weights(store: Store, name: str, path: Path, architecture: str = INCEPTION_V3) -> WeightsEntry:
    """Verify a file of backbone weights and put it into the store under `name`, replacing any of that name.

    Raises BadStudy for a name that can't be one, BadData for a file that is missing or does not fit.
    """
    if not names.is_name(name) or name == "random":
        raise BadStudy(f"weights name {name!r}: expected lower-case letters, digits and dashes, and not `random`")
    verify_weights(path, architecture)
    data = path.read_bytes()
    entry = WeightsEntry(name, architecture, path.name, path.suffix, len(data), hashlib.sha256(data).hexdigest())
    # Weights without a description, or with that of others, would be refused; none at all says what to do.
    store.delete(names.weights_key(name, ".json"))
    store.write(entry.key, data)
    store.write(names.weights_key(name, ".json"), encode_entry(entry))
    for suffix in SUFFIXES:
        if suffix != entry.suffix:
            store.delete(names.weights_key(name, suffix))
    return entry


def download_weights(store: Store, name: str) -> WeightsEntry:
    """Put Keras's own ImageNet weights of InceptionV3 into the store. Needs network; raises BadData without."""
    with tempfile.TemporaryDirectory(prefix="rustk-weights-") as folder:
        path = Path(folder) / "inception_v3_notop.weights.h5"
        try:
            backbone = keras.applications.InceptionV3(include_top=False, weights="imagenet", input_shape=_SMALLEST)
        except Exception as error:  # Keras raises this very class when a download fails
            if "URL fetch failure" not in str(error):
                raise
            raise BadData(f"Keras's ImageNet weights of InceptionV3 could not be downloaded: {error}") from None
        backbone.save_weights(path)
        return add_weights(store, name, path)


def verify_weights(path: Path, architecture: str = INCEPTION_V3) -> None:
    """Check that a file holds weights for every layer of a backbone. Raises BadData, naming what does not fit."""
    if architecture != INCEPTION_V3:
        raise BadStudy(f"weights for the architecture {architecture!r}: expected {INCEPTION_V3}")
    if path.suffix not in SUFFIXES:
        raise BadData(f"{path}: expected a file of weights that ends in {' or '.join(SUFFIXES)}")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadData(f"{path}: {error.strerror}") from None
    assign_weights(build_backbone(Model(), _SMALLEST, seed=0), data, str(path))


def load_weights(backbone: keras.Model, store: Store, name: str, sha256: str) -> None:
    """Put weights of the store into a backbone. Raises BadStudy or BadData where they are missing or not as planned."""
    entry = find_weights(store, name)
    try:
        data = store.read(entry.key)
    except KeyMissing:
        raise BadData(f"{entry.key} is missing: add it again with `rustk weights add {name} FILE`") from None
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise BadData(
            f"{entry.key} has sha256 {found[:12]}, the run was planned with {sha256[:12]}: add the "
            f"file again with `rustk weights add {name} FILE`, or submit a new run"
        )
    assign_weights(backbone, data, entry.key)


def assign_weights(backbone: keras.Model, data: bytes, source: str) -> None:
    """Put the weights of a .h5 or .keras file into a backbone. Raises BadData naming every layer that does not fit."""
    targets = [layer for layer in backbone.layers if layer.weights]
    try:
        found = _read_layers(data, backbone)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise BadData(f"{source} is no readable .h5 or .keras file of weights: {error}") from None
    if len(found) < len(targets):
        raise BadData(f"{source} has {len(found)} layers with weights: {backbone.name} has {len(targets)}")
    mismatches = []
    for layer, (name, arrays) in zip(targets, found, strict=False):
        shapes = [tuple(array.shape) for array in arrays]
        expected = [tuple(weight.shape) for weight in layer.weights]
        if shapes != expected:
            mismatches.append(f"{name} {_show(shapes)}, expected {_show(expected)}")
    if mismatches:
        raise BadData(f"{source} does not fit {backbone.name}: {'; '.join(mismatches)}")
    for layer, (name, arrays) in zip(targets, found, strict=False):
        if not all(np.isfinite(array).all() for array in arrays):
            raise BadData(f"{source}: the weights of {name} are not finite")
        layer.set_weights(arrays)


def _show(shapes: list[tuple[int, ...]]) -> str:
    return " + ".join("x".join(map(str, shape)) for shape in shapes) or "nothing"


def _read_layers(data: bytes, backbone: keras.Model) -> list[tuple[str, LayerWeights]]:
    """(layer, its weights) in the model's order. Files of whole models have the classifier's layers at the end."""
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = archive.read("model.weights.h5")
    with h5py.File(io.BytesIO(data), "r") as file:
        group = file.get("model_weights", file)
        if "layer_names" in group.attrs:
            return _read_keras_2(group)
        return _read_keras_3(file["layers"], backbone)


def _read_keras_2(group: Any) -> list[tuple[str, LayerWeights]]:
    """The form of keras.applications's own files and of Keras 2: names of layers and weights in attributes."""
    layers = []
    for name in _texts(group.attrs["layer_names"]):
        weights = [np.asarray(group[name][weight]) for weight in _texts(group[name].attrs["weight_names"])]
        if weights:
            layers.append((name, weights))
    return layers


def _read_keras_3(group: Any, backbone: keras.Model) -> list[tuple[str, LayerWeights]]:
    """The form of Keras 3: layers by class and number (conv2d, conv2d_1...), which says nothing of their order."""
    layers = []
    counts: dict[str, int] = {}
    for layer in backbone.layers:
        kind = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
        kind = re.sub("([a-z])([A-Z])", r"\1_\2", kind).lower()
        name = kind if kind not in counts else f"{kind}_{counts[kind]}"
        counts[kind] = counts.get(kind, 0) + 1
        if layer.weights and name in group:
            variables = group[name]["vars"]
            layers.append((name, [np.asarray(variables[str(number)]) for number in range(len(variables))]))
    return layers


def _texts(attribute: Any) -> list[str]:
    return [text.decode() if isinstance(text, bytes) else str(text) for text in attribute]
