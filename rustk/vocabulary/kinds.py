"""Which kinds a room has. A kind is one file (or folder) of the room's folder, and its name is the file's.

This is all that registers a kind: a new file of `training/objectives/` is a new value of `model.objective`. Names are
listed without importing anything, so that planning can check them where TensorFlow is not installed.
"""

import importlib
from functools import cache
from pathlib import Path
from types import ModuleType

from rustk.vocabulary.checking import clip, did_you_mean
from rustk.vocabulary.errors import BadStudy

_PACKAGE = Path(__file__).parents[1]
# What a room's kinds have in common lies beside them in this file.
_BASE = "base"


@cache
def kinds(room: str) -> tuple[str, ...]:
    """The names of the kinds in a room such as `training/objectives`, sorted."""
    entries = (_PACKAGE / room).iterdir()
    found = {path.stem for path in entries if path.suffix == ".py" or (path / "__init__.py").is_file()}
    return tuple(sorted(name for name in found if not name.startswith("_") and name != _BASE))


def load_kind(room: str, name: str, field: str) -> ModuleType:
    """The module of a kind. Raises BadStudy, naming the field that chose it, where the room has none of this name."""
    check_kind(room, name, field)
    return importlib.import_module(f"rustk.{room.replace('/', '.')}.{name}")


def check_kind(room: str, name: str, field: str) -> None:
    """Raise BadStudy, naming the field that chose it, for a kind that the room does not have."""
    if name not in kinds(room):
        raise BadStudy(f"{field} = {clip(name)}: {did_you_mean(name, kinds(room))}")
