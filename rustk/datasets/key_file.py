"""The key of a build: which sample came from which file. It undoes the pseudonyms, and stays on this machine."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path

from rustk.datasets.building import BuildSample
from rustk.vocabulary.errors import BadStudy


def check_key_file(path: Path, store_url: str) -> None:
    """Raise BadStudy where the key would lie in the store, over something else, or where no file can be."""
    if not os.access(path.parent, os.W_OK) and path.parent.is_dir():
        raise BadStudy(f"--key-file {path}: the folder {path.parent} can't be written to: choose another place")
    if "://" not in store_url and path.resolve().is_relative_to(Path(store_url).resolve()):
        raise BadStudy(
            f"--key-file {path}: lies in the store {store_url}, which is not to know it: choose another place"
        )
    if path.exists():
        raise BadStudy(f"--key-file {path}: is there already: move it away, or choose another place")
    if not path.parent.is_dir():
        raise BadStudy(f"--key-file {path}: there is no folder {path.parent}")


def write_key_file(path: Path, samples: Iterable[BuildSample]) -> None:
    """Write sample_id, the file's name as the table has it, and its row; readable by this user only."""
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", newline="", encoding="utf-8"
    ) as file:
        writer = csv.writer(file)
        writer.writerow(["sample_id", "image", "row"])
        writer.writerows([sample.sample_id, sample.image, sample.row] for sample in samples)
