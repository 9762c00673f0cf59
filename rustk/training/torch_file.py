"""Tensors out of a legacy PyTorch file (`torch.save` before version 1.6), without PyTorch and without trusting it.

A pickle may run any code when it is read. Here nothing but tensors is unpickled: every name that the file asks for is
looked up in a short list, and anything else refuses the file. The format: five pickles (a magic number, the protocol,
the writer's system, the object, the keys of its storages), then the storages, each an int64 count and its raw values.
Source: torch/serialization.py, `_legacy_save`.
"""

import collections
import io
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np

from rustk.vocabulary.errors import BadData, one_line

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MOST_VALUES = 2**31
_DTYPES: dict[str, np.dtype[Any]] = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}


@dataclass(frozen=True)
class _Storage:
    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(data: bytes, source: str) -> dict[str, np.ndarray]:
    """The tensors of a state dictionary by name, in the file's order. Raises BadData for any other file."""
    stream = io.BytesIO(data)
    try:
        if _Restricted(stream).load() != _MAGIC or _Restricted(stream).load() != _PROTOCOL:
            raise BadData(f"{source}: not a PyTorch file of the legacy format")
        _Restricted(stream).load()
        found, keys = _Restricted(stream).load(), _Restricted(stream).load()
        if not isinstance(found, dict) or not isinstance(keys, list):
            raise BadData(f"{source}: holds a {type(found).__name__}: expected a dictionary of tensors by name")
        tensors = {str(name): tensor for name, tensor in found.items() if isinstance(tensor, _Tensor)}
        if not tensors or len(tensors) < len(found):
            raise BadData(f"{source}: {len(found) - len(tensors)} of {len(found)} values are no tensors")
        arrays = _read_storages(stream, keys, {tensor.storage.key: tensor.storage for tensor in tensors.values()})
        return {name: _strided(tensor, arrays[tensor.storage.key]) for name, tensor in tensors.items()}
    except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # These are all that unpickling with nothing to call can raise, and what a file that lies about sizes gives.
        raise BadData(
            f"{source}: not a PyTorch file of tensors: {one_line(str(error)) or type(error).__name__}"
        ) from None


class _Restricted(pickle.Unpickler):
    """Unpickles containers, numbers, texts and tensors' descriptions; whatever else a file names is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _DTYPES:
            return _Kind(name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no file of tensors needs: do not trust it")

    def persistent_load(self, identity: Any) -> _Storage:
        kind, of, key, _, count, view = identity[:6] if len(identity) == 6 else (None,) * 6
        if kind != "storage" or not isinstance(of, _Kind) or not isinstance(count, int) or view is not None:
            raise pickle.UnpicklingError("a storage of an unknown kind")
        return _Storage(of.name, str(key), count)


@dataclass(frozen=True)
class _Kind:
    """A storage's type, which the file names but must not call."""

    name: str


def _rebuild(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> _Tensor:
    if not isinstance(storage, _Storage) or len(shape) != len(strides):
        raise pickle.UnpicklingError("a tensor without a storage")
    numbers = (offset, *shape, *strides)
    if not all(isinstance(number, int) and 0 <= number < _MOST_VALUES for number in numbers):
        raise pickle.UnpicklingError("a tensor with impossible sizes")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _read_storages(stream: io.BytesIO, keys: list[Any], known: dict[str, _Storage]) -> dict[str, np.ndarray]:
    arrays = {}
    for key in map(str, keys):
        storage = known[key]
        count = int.from_bytes(stream.read(8), "little", signed=True)
        dtype = _DTYPES[storage.kind]
        values = stream.read(max(count, 0) * dtype.itemsize) if 0 <= count < _MOST_VALUES else b""
        if count != storage.count or len(values) != count * dtype.itemsize:
            raise ValueError(f"storage {key} has {len(values)} bytes: expected {storage.count} values")
        arrays[key] = np.frombuffer(values, dtype)
    return arrays


def _strided(tensor: _Tensor, values: np.ndarray) -> np.ndarray:
    """The tensor's values in its shape, copied out of its storage."""
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    if any(size == 0 for size in tensor.shape):
        return np.zeros(tensor.shape, values.dtype)
    if last >= len(values):
        raise ValueError("a tensor reaches beyond its storage")
    steps = [stride * values.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, steps, writeable=False)
    return np.array(view)
