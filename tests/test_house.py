"""Rules of the house that no import contract can say: who may read Parquet, build a key, or know an instrument."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import rustk

PACKAGE = Path(rustk.__file__).parent


def lines_with(pattern: str, allowed: Callable[[str], bool]) -> list[str]:
    """`room/file.py:line: text` of every line of the package that matches, but for the files that are allowed it."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if allowed(name):
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if re.search(pattern, line):
                found.append(f"{name}:{number}: {line.strip()}")
    return found


def test_parquet_has_one_reader_and_one_writer() -> None:
    """Arrow's own threads, or a Python file under a reader, may abort the process at its end (exit code 134)."""
    assert not lines_with(r"pyarrow\.parquet|\bpq\.", lambda name: name == "vocabulary/parquet.py")


def test_keys_are_built_in_names_only() -> None:
    folders = "runs|datasets|weights|features|comparisons"
    assert not lines_with(rf"f\"({folders})/", lambda name: name == "vocabulary/names.py")


def test_no_room_knows_an_instrument() -> None:
    """Labels, views and sites come from the dataset's instrument; a phantom's own anatomy is its business."""
    words = r"\"(ap|lateral|medial|anterior|posterior|view_ap)\"|\b(RUST|CORTICES|cortex|cortices)\b"
    assert not lines_with(
        words, lambda name: name.startswith("datasets/phantom/") or name == "vocabulary/instrument.py"
    )


@pytest.mark.parametrize("word", ["json.loads", "yaml.safe_load", "yaml.load", "tomllib.loads"])
def test_text_from_outside_has_one_reader(word: str) -> None:
    """A worker's own events, a Kubernetes API server's answers, and what rustk itself put into its caches and
    checkpoints (where what can't be read is made again) are not from outside."""
    own = ("vocabulary/reading.py", "backends/", "training/serve.py", "training/checkpoints.py")
    own += ("datasets/preparing.py",)
    assert not lines_with(re.escape(word), lambda name: name.startswith(own))
