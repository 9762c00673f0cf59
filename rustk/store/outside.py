"""What must not lie in a store: whoever may read the store would find it there, and its listings would show it."""

from pathlib import Path

from rustk.vocabulary.errors import BadStudy


def check_outside(path: Path, store_url: str, what: str) -> None:
    """Raise BadStudy, beginning with `what` and the path, for a path in the directory that a store is."""
    if "://" in store_url or not path.resolve().is_relative_to(Path(store_url).resolve()):
        return
    raise BadStudy(f"{what} {path}: lies in the store {store_url}, which must not hold it: choose another place")
