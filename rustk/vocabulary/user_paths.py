"""Paths that a user wrote: where they lead and what is there, whatever stands in them.

The look-ups of pathlib raise for a name that is too long and for links that lead in a circle: no command should look a
path of a user up before it went through here.
"""

from contextlib import suppress
from pathlib import Path

from rustk.vocabulary.checking import clip, lower
from rustk.vocabulary.errors import BadStudy, RustkError, one_line


def user_path(text: str, expected: str, error: type[RustkError] = BadStudy) -> Path:
    """The path that a user wrote, `~` expanded. Raises `error` for the home of a user that does not exist."""
    try:
        return Path(text).expanduser()
    except RuntimeError as failure:
        raise error(f"{clip(text)}: {lower(str(failure)).rstrip('.')}: expected {expected}") from None


def resolve_given(path: Path, what: str) -> Path:
    """The place that a user's path means, its links followed; nothing has to be there.

    Raises BadStudy, beginning with `what` and the path, for one that no file system can look up. Where it does not,
    `exists`, `is_file` and `is_dir` of the path do not raise either.
    """
    try:
        found = path.resolve()
        # There may be nothing yet; what can't become a folder is told when it is made.
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
    except RuntimeError:
        why = "a link that leads back to itself"
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        why = getattr(error, "strerror", None) or str(error)
    else:
        return found
    raise BadStudy(f"{what} {one_line(str(path))}: {why}: choose another place")


def make_folder(path: Path, option: str, mode: int = 0o777) -> None:
    """Make the folder that a user asks for, where it is not there yet. Raises BadStudy, naming the option, where none
    can be.
    """
    resolve_given(path, option)
    try:
        path.mkdir(parents=True, exist_ok=True, mode=mode)
    except OSError as error:
        there = what_is_there(path)
        why = f"is {there}" if there else error.strerror or str(error)
        raise BadStudy(f"{option} {path}: {why}: expected a folder, or a place for one") from None


def what_is_there(path: Path) -> str:
    """`a file`, `a folder`, ...: what a path that `resolve_given` took leads to; empty for nothing."""
    if path.is_file():
        return "a file"
    if path.is_dir():
        return "a folder"
    if path.exists():
        return "a device, a pipe or a socket"
    return "a link that leads nowhere" if path.is_symlink() else ""
