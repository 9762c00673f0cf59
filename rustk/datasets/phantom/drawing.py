"""Draws the images of a phantom cohort: which picture an instrument has, and many of them at once.

For all but the instruments that have a picture of their own, sites are drawn as a row of marks: that is for machinery
only, and `describe_source` and the command say so.
"""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import numpy as np

from rustk.datasets.imaging import encode_png, perceptual_hash
from rustk.datasets.phantom import knee, marks, tibia
from rustk.datasets.phantom.cohort import PhantomPlan
from rustk.datasets.preparing import MAX_SIZE, MIN_SIZE, check_processes
from rustk.vocabulary.errors import BadStudy, RustkError
from rustk.vocabulary.instrument import Instrument, load_instrument

# The pictures of shipped instruments; an instrument of another name with the same encoding has the same one.
_PICTURES = {"mrust": tibia, "kellgren-lawrence": knee}


@dataclass(frozen=True)
class PhantomImage:
    """A drawn image: its place in the cohort, and the picture as stored."""

    plan: PhantomPlan
    png: bytes  # grey, uint8
    phash: str  # 16 hex digits


def picture_of(instrument: Instrument) -> ModuleType:
    """The module that draws an instrument; it has `draw` and the version `DRAWING` of what that draws."""
    for name, module in _PICTURES.items():
        if load_instrument(name).encoding() == instrument.encoding():
            return module
    return marks


def is_for_machinery(instrument: Instrument) -> bool:
    """Whether an instrument's pictures show marks instead of anatomy."""
    return picture_of(instrument) is marks


def draw(
    plan: PhantomPlan, instrument: Instrument, *, size: int = 299, seed: int = 0, signal: float = 1.0
) -> np.ndarray:
    """Draw one image, uint8 [size, size]; a pure function of its arguments.

    `signal` from 0 to 1 is how much of the difference between scores shows: at 0 all look alike.
    """
    pixels: np.ndarray = picture_of(instrument).draw(plan, instrument, size=size, seed=seed, signal=signal)
    return pixels


def generate(
    plans: list[PhantomPlan],
    instrument: Instrument,
    *,
    size: int = 299,
    seed: int = 0,
    signal: float = 1.0,
    processes: int = 1,
) -> Iterator[PhantomImage]:
    """Draw all of `plans` in their order, in `processes` processes; the bytes don't depend on how many.

    Raises BadStudy for a size outside 32..2048, a signal outside 0..1 or a number of processes outside 1..256.
    """
    check_drawing(size, signal, processes)
    image = partial(_image, instrument=instrument, size=size, seed=seed, signal=signal)
    return _generate(plans, image, processes)


def check_drawing(size: int, signal: float, processes: int = 1) -> None:
    """Raise BadStudy for a size outside 32..2048, a signal outside 0..1, or processes outside 1..256."""
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise BadStudy(f"--size {size}: expected the side of a square in pixels, from {MIN_SIZE} to {MAX_SIZE}")
    if not 0.0 <= signal <= 1.0:
        raise BadStudy(f"--signal {signal}: expected a number from 0 (scores don't show) to 1")
    check_processes(processes)


def _generate(plans: list[PhantomPlan], image: "partial[PhantomImage]", processes: int) -> Iterator[PhantomImage]:
    if processes == 1:
        yield from map(image, plans)
        return
    # Not fork: the parent may hold another library's threads, which a fork would leave locked.
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(min(processes, len(plans)), mp_context=context) as pool:
            yield from pool.map(image, plans, chunksize=8)
    except BrokenProcessPool:
        raise RustkError(
            "a process that draws images was killed, perhaps for memory: run the same command again with fewer "
            "--processes"
        ) from None


def _image(plan: PhantomPlan, *, instrument: Instrument, size: int, seed: int, signal: float) -> PhantomImage:
    pixels = draw(plan, instrument, size=size, seed=seed, signal=signal)
    return PhantomImage(plan, encode_png(pixels), perceptual_hash(pixels))
