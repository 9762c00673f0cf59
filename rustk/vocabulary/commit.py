"""Which commit of its source a rustk is: a version alone does not tell what a run was made by."""

import functools
import os
import shutil
import subprocess
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_UNKNOWN = "unknown"  # what an image says that was built outside a checkout


@functools.cache
def source_commit() -> str | None:
    """40 hex digits, and `+changes` where the checkout differs from them; None of a package that does not know.

    An image says it in RUSTK_COMMIT.
    """
    if told := os.environ.get("RUSTK_COMMIT"):
        return None if told == _UNKNOWN else told
    git = shutil.which("git")
    if git is None or not (_ROOT / ".git").exists():
        return None
    command = [git, "-C", str(_ROOT), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):  # a checkout of somebody else's, which git declines to read
        return None
    return done.stdout.strip() or None


def with_commit(versions: dict[str, str]) -> dict[str, str]:
    """These versions, and under `commit` that of rustk where it is known."""
    commit = source_commit()
    return {**versions, "commit": commit} if commit else versions
