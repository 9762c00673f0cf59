"""What must lie apart: from a store, whose readers would find it and whose listings would show it, and from images."""

from pathlib import Path

from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.user_paths import resolve_given


def check_outside(path: Path, store_url: str, what: str) -> None:
    """Raise BadStudy, beginning with `what` and the path, for a path in the directory that a store is, or for one that
    can't be looked up.
    """
    found = resolve_given(path, what)
    if "://" in store_url or not found.is_relative_to(resolve_given(Path(store_url), "store")):
        return
    raise BadStudy(f"{what} {path}: lies in the store {store_url}, which must not hold it: choose another place")


def check_apart(path: Path, folder: Path, what: str) -> None:
    """Raise BadStudy, beginning with `what` and the path, for a path in the folder of a dataset's images."""
    if resolve_given(path, what).is_relative_to(resolve_given(folder, "the folder of the images")):
        raise BadStudy(f"{what} {path}: lies in the folder of the images: expected a place apart from it")
