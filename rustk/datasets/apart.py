"""Calls what may end the whole process in a child process, which is kept for the next call."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_child: ProcessPoolExecutor | None = None


class ChildDied(Exception):
    """The child process ended before it gave an answer."""


def call_apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `function` gives or raises when the child calls it, whose stderr goes nowhere. Raises ChildDied."""
    global _child
    if _child is None:
        # Not fork: the parent may hold another library's threads, which a fork would leave locked.
        _child = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_silence)
    try:
        return _child.submit(function, *args, **kwargs).result()
    except BrokenProcessPool:
        _child = None
        raise ChildDied from None


def _silence() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
