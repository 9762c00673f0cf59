"""Backbone weights from files: what is in them, whether they fit, and putting them into the store."""

import contextlib
import hashlib
import io
import re
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from rustk.store import Store
from rustk.store.documents import WeightsEntry
from rustk.store.weights import (
    LARGEST_BYTES,
    check_weights_file,
    check_weights_name,
    put_weights,
    read_weights,
    weights_key,
)
from rustk.training.backbones import find_backbone
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadData, BadStudy, one_line

DEFAULT_ARCHITECTURE = "inception_v3"

_SHOWN = 6

Layers = list[tuple[str, list[h5py.Dataset]]]


def add_weights(
    store: Store, name: str, path: Path, architecture: str = DEFAULT_ARCHITECTURE, *, replace: bool = False
) -> WeightsEntry:
    """Verify a file of backbone weights and put it into the store under `name`.

    Raises BadStudy for a name or architecture that can't have any, and where other weights have that name and are not
    to be replaced; BadData for a file that is missing or does not fit.
    """
    check_weights_name(name)
    data = verify_weights(path, architecture)
    entry = WeightsEntry(
        name=name,
        architecture=architecture,
        file=path.name,
        suffix=".h5" if path.suffix == ".h5" else ".keras",
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    put_weights(store, entry, data, replace=replace)
    return entry


def download_weights(
    store: Store, name: str, architecture: str = DEFAULT_ARCHITECTURE, *, replace: bool = False
) -> WeightsEntry:
    """Put Keras's own ImageNet weights of a backbone into the store. Needs network; raises BadData without."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras shows there how far it is
            network = find_backbone(architecture).download()
    except Exception as error:  # Keras raises this very class when a download fails
        if "URL fetch failure" not in str(error):
            raise
        raise BadData(
            f"Keras's ImageNet weights of {architecture} could not be downloaded: {error}: get the file where there is "
            f"a network, and add it with `rustk weights add {name} FILE`"
        ) from None
    return _add_network(store, name, network, architecture, replace)


def add_packaged_weights(store: Store, name: str, architecture: str, *, replace: bool = False) -> WeightsEntry:
    """Put the weights that an installed package carries into the store. Raises RustkError where there are none."""
    return _add_network(store, name, find_backbone(architecture).packaged(), architecture, replace)


def _add_network(store: Store, name: str, network: keras.Model, architecture: str, replace: bool) -> WeightsEntry:
    with tempfile.TemporaryDirectory(prefix="rustk-weights-") as folder:
        path = Path(folder) / f"{architecture}_notop.weights.h5"
        network.save_weights(path)
        return add_weights(store, name, path, architecture, replace=replace)


def verify_weights(path: Path, architecture: str = DEFAULT_ARCHITECTURE) -> bytes:
    """The bytes of a file with weights for every layer of a backbone. Raises BadData, naming what does not fit."""
    backbone = find_backbone(architecture)
    if not backbone.takes_weights:
        raise BadStudy(f"--architecture {architecture}: there are no weights for it: it is trained from random ones")
    check_weights_file(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadData(f"{path}: {error.strerror or error}: expected a file of weights") from None
    network = backbone.build(backbone.sample_shape)
    try:
        assign_weights(network, data, str(path))
    except BadData as error:
        if network.name not in str(error):  # the file itself is the fault
            raise
        raise BadData(
            f"{error}: expected the weights of {architecture} without its top; where they are another backbone's, "
            "--architecture says so"
        ) from None
    return data


def load_weights(network: keras.Model, store: Store, name: str, sha256: str) -> None:
    """Put weights of the store into a backbone. Raises BadStudy or BadData where they are missing or not as planned."""
    entry, data = read_weights(store, name, sha256)
    assign_weights(network, data, weights_key(entry))


def assign_weights(network: keras.Model, data: bytes, source: str) -> None:
    """Put the weights of a .h5 or .keras file into a network, layer by layer in their order.

    Raises BadData naming the layers that do not fit, and leaves the network as it was unless all fit.
    """
    targets = [layer for layer in network.layers if layer.weights]
    with _readable(source), _open(data, source) as file:
        found = _read_layers(file, network)
        if len(found) < len(targets):
            raise BadData(f"{source} has weights for {len(found)} of the {len(targets)} layers of {network.name}")
        mismatches = []
        for layer, (name, datasets) in zip(targets, found, strict=False):
            # Shapes and types are compared before anything is read: a file may claim more than memory holds.
            shapes = [_shape_of(dataset) for dataset in datasets]
            expected = [_show(tuple(weight.shape)) for weight in layer.weights]
            if shapes != expected:
                mismatches.append(f"{name} {' + '.join(shapes) or 'nothing'}, expected {' + '.join(expected)}")
        if mismatches:
            more = f"; and {len(mismatches) - _SHOWN} more layers" if len(mismatches) > _SHOWN else ""
            raise BadData(f"{source} does not fit {network.name}: {'; '.join(mismatches[:_SHOWN])}{more}")
        read = []
        for name, datasets in found[: len(targets)]:
            arrays = [np.asarray(dataset[()], np.float32) for dataset in datasets]
            if not all(np.isfinite(array).all() for array in arrays):
                raise BadData(f"{source}: the weights of {name} are not finite")
            read.append(arrays)
    for layer, arrays in zip(targets, read, strict=True):
        layer.set_weights(arrays)


@contextlib.contextmanager
def _readable(source: str) -> Iterator[None]:
    """Whatever h5py, zipfile and NumPy make of a file that is not what it should be is BadData in one line."""
    try:
        yield
    except (OSError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError, MemoryError,
            zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
        # A KeyError's text is the repr of its message.
        said = error.args[0] if isinstance(error, LookupError) and error.args else error
        why = one_line(str(said)) or type(error).__name__
        raise BadData(f"{source}: expected a .h5 or .keras file of weights: {why}") from None


@contextlib.contextmanager
def _open(data: bytes, source: str) -> Iterator[h5py.File]:
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            claimed = archive.getinfo("model.weights.h5").file_size
            if claimed > LARGEST_BYTES:
                raise BadData(f"{source}: its model.weights.h5 claims {claimed:,} bytes: more than any backbone has")
            data = archive.read("model.weights.h5")
    # Not by a file object of Python's: where the file is damaged, HDF5 would call it again as the process ends, and
    # crash.
    try:
        image = h5py.h5f.open_file_image(data)
    except ValueError:
        raise BadData(f"{source}: damaged, or not HDF5 at all: expected a .h5 or .keras file of weights") from None
    with h5py.File(image) as file:
        yield file


def _show(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "1 number"


def _shape_of(dataset: Any) -> str:
    """`3x3x3x32` of a dataset of numbers; of anything else what it is."""
    if not isinstance(dataset, h5py.Dataset):
        return "a group" if isinstance(dataset, h5py.Group) else clip(dataset)
    if dataset.dtype.kind != "f":
        return f"of type {dataset.dtype}"
    return "nothing" if dataset.shape is None else _show(dataset.shape)


def _read_layers(file: h5py.File, network: keras.Model) -> Layers:
    """(layer, its weights) in the model's order. Files of whole models have the classifier's layers at the end."""
    group = file.get("model_weights", file)
    if "layer_names" in group.attrs:
        return _read_keras_2(group)
    if "layers" not in file:
        raise KeyError(f"it has neither layer_names nor a group of layers, but {clip(', '.join(file) or 'nothing')}")
    return _read_keras_3(file["layers"], network)


def _read_keras_2(group: h5py.Group) -> Layers:
    """The form of keras.applications's own files and of Keras 2: names of layers and weights in attributes."""
    layers = []
    for name in _texts(group, "layer_names"):
        weights = [group[name][weight] for weight in _texts(group[name], "weight_names")]
        if weights:
            layers.append((name, weights))
    return layers


def _read_keras_3(group: h5py.Group, network: keras.Model) -> Layers:
    """The form of Keras 3: layers by class and number (conv2d, conv2d_1...), which says nothing of their order."""
    layers = []
    counts: dict[str, int] = {}
    for layer in network.layers:
        kind = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
        kind = re.sub("([a-z])([A-Z])", r"\1_\2", kind).lower()
        name = kind if kind not in counts else f"{kind}_{counts[kind]}"
        counts[kind] = counts.get(kind, 0) + 1
        if layer.weights and name in group:
            nested = isinstance(layer, keras.Model)
            of_layer = _read_keras_3(group[name]["layers"], layer) if nested else [(name, _variables(group[name]))]
            layers.append((name, [dataset for _, datasets in of_layer for dataset in datasets]))
    return layers


def _variables(group: h5py.Group) -> list[h5py.Dataset]:
    variables = group["vars"]
    return [variables[str(number)] for number in range(len(variables))]


def _texts(group: h5py.Group, attribute: str) -> list[str]:
    values = group.attrs[attribute]
    if not isinstance(values, np.ndarray | list | tuple):
        raise TypeError(f"{group.name}: {attribute} = {clip(values)}: expected a list of names")
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
