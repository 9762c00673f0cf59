"""What to do about a damaged file of the store, by its key."""

import contextlib
import re
from collections.abc import Iterator

from rustk.vocabulary.errors import BadData

_PUT_BACK = "put back the file as it was written"
_REMEDIES = tuple(
    (re.compile(pattern), f"{_PUT_BACK}{otherwise}")
    for pattern, otherwise in (
        (
            r"runs/(?P<run>[^/]+)/(study\.json|trials\.parquet|folds\.parquet)",
            ", or remove the run with `rustk runs delete {run}` and submit it again",
        ),
        (
            r"runs/(?P<run>[^/]+)/histories/.*",
            ", or remove it and submit run {run} again, which trains its fold anew",
        ),
        (
            r"runs/(?P<run>[^/]+)/predictions/.*",
            ", or remove it and its fold's history and submit run {run} again, which trains the fold anew",
        ),
        (r"runs/[^/]+/failures/.*", ", or remove it: the fold is tried again when its run is submitted"),
        (r"runs/[^/]+/submissions/.*", ", or remove it: it says only when and where the run was submitted"),
        (r"runs/[^/]+/redone/.*", ", or remove it: it is a retraining that the run does without"),
        (
            r"runs/(?P<run>[^/]+)/model/examples/.*",
            ", or remove examples.json and run `rustk final {run} --with-images` again",
        ),
        (r"runs/(?P<run>[^/]+)/model/card\.json", ", or remove it and run `rustk final {run}` again"),
        (
            r"runs/(?P<run>[^/]+)/model/.*",
            ", or remove card.json beside it and run `rustk final {run}` again, which trains the same model",
        ),
        (r"datasets/[^/]+/openings/.*", ": it is the record of a look at the test split"),
        (
            r"datasets/(?P<dataset>[^/]+)/.*",
            ", or make the dataset again: `rustk dataset build --replace`, or for phantoms remove "
            "datasets/{dataset}/dataset.json and run `rustk phantom`",
        ),
        (r"weights/(?P<weights>[^/]+)\.json", ", or add the weights again: `rustk weights add {weights} FILE`"),
    )
)


def remedy(key: str) -> str:
    """What to do where the file under `key` can't be used; empty for a key that nothing is known of."""
    for pattern, todo in _REMEDIES:
        if found := pattern.fullmatch(key):
            return todo.format(**found.groupdict())
    return ""


def damaged(key: str, message: str) -> BadData:
    """The error of the file under `key`: the message, which names it, then what to do about it."""
    todo = remedy(key)
    return BadData(f"{message}: {todo}" if todo else message)


@contextlib.contextmanager
def advised(key: str) -> Iterator[None]:
    """Have the BadData that is raised within, about the file under `key`, end with what to do about it."""
    try:
        yield
    except BadData as error:
        todo = remedy(key)
        if not todo or todo in str(error):
            raise
        raise type(error)(f"{error}: {todo}") from None
