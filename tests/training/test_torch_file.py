"""Tensors out of PyTorch's legacy files: the package's own, small ones made here, and hostile ones."""

import collections
import io
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rustk.training.torch_file import read_tensors
from rustk.vocabulary.errors import BadData

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class _Named:
    """Pickles as a reference to a name of another module, which need not be installed."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Pickler(pickle._Pickler):  # type: ignore[name-defined]
    """Writes what torch.save writes, without PyTorch."""

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, _Named):
            self.write(b"c" + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, _Tensor):
            self.write(b"c" + b"torch._utils\n_rebuild_tensor_v2\n")
            super().save((obj.storage, obj.offset, obj.shape, obj.strides, False, collections.OrderedDict()))
            self.write(b"R")
        elif isinstance(obj, _Storage):
            super().save(("storage", _Named("torch", obj.kind), obj.key, "cpu", obj.count, None))
            self.write(b"Q")
        else:
            super().save(obj, save_persistent_id)


class _Storage:
    def __init__(self, key: str, values: np.ndarray, kind: str = "FloatStorage", count: int | None = None) -> None:
        self.key, self.values, self.kind = key, values, kind
        self.count = len(values) if count is None else count


class _Tensor:
    def __init__(self, storage: _Storage, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> None:
        self.storage, self.shape, self.strides, self.offset = storage, shape, strides, offset


def saved(content: Any, storages: list[_Storage]) -> bytes:
    stream = io.BytesIO()
    for part in (MAGIC, PROTOCOL, {"little_endian": True}, content, [storage.key for storage in storages]):
        _Pickler(stream, 2).dump(part)
    for storage in storages:
        stream.write(struct.pack("<q", len(storage.values)) + storage.values.tobytes())
    return stream.getvalue()


def test_tensors_come_in_their_shapes_whatever_their_strides() -> None:
    storage = _Storage("1", np.arange(7, dtype="<f4"))
    content = collections.OrderedDict(
        a=_Tensor(storage, (2, 3), (3, 1)), b=_Tensor(storage, (3, 2), (1, 3), offset=1), c=_Tensor(storage, (), ())
    )
    found = read_tensors(saved(content, [storage]), "file")
    np.testing.assert_array_equal(found["a"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(found["b"], [[1, 4], [2, 5], [3, 6]])
    assert found["c"] == 0
    assert list(found) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("builtins", "eval"), ("builtins", "getattr"), ("posix", "system"), ("numpy", "load")],
)
def test_a_hostile_file_is_refused_and_runs_nothing(module: str, name: str, tmp_path: Path) -> None:
    touched = tmp_path / "touched"

    class Hostile:
        def __reduce__(self) -> Any:
            return (_Named(module, name), (f"touch {touched}",))

    class Pickler(_Pickler):
        def save(self, obj: Any, save_persistent_id: bool = True) -> None:
            if isinstance(obj, Hostile):
                self.write(b"c" + f"{module}\n{name}\n".encode())
                super().save((f"touch {touched}",))
                self.write(b"R")
            else:
                super().save(obj, save_persistent_id)

    stream = io.BytesIO()
    for part in (MAGIC, PROTOCOL, {}, {"weight": Hostile()}, []):
        Pickler(stream, 2).dump(part)
    with pytest.raises(BadData, match=rf"file: .*{module}.{name}.*do not trust it"):
        read_tensors(stream.getvalue(), "file")
    assert not touched.exists()


def test_files_that_lie_about_their_sizes_are_refused() -> None:
    values = np.arange(4, dtype="<f4")
    for tensor, storage in (
        (_Tensor(_Storage("1", values), (5,), (1,)), _Storage("1", values)),
        (_Tensor(_Storage("1", values), (2, 2), (100, 1)), _Storage("1", values)),
        (_Tensor(_Storage("1", values), (-1,), (1,)), _Storage("1", values)),
        (_Tensor(_Storage("1", values), (2,), (1, 1)), _Storage("1", values)),
        (_Tensor(_Storage("1", values, count=99), (2,), (1,)), _Storage("1", values)),
        (_Tensor(_Storage("1", values, count=2**40), (2,), (1,)), _Storage("1", values)),
    ):
        with pytest.raises(BadData, match=r"^file: "):
            read_tensors(saved({"a": tensor}, [storage]), "file")


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04", b"\x80\x02K\x05.", pickle.dumps(MAGIC), b"\x80\x02" + b"(" * 10_000]
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(BadData, match=r"^file: "):
        read_tensors(data, "file")


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(BadData, match="are no tensors"):
        read_tensors(saved({"a": 5}, []), "file")
    with pytest.raises(BadData, match="expected a dictionary"):
        read_tensors(saved([1], []), "file")
