"""Seeds derived from seeds, and the order and flips of an epoch: the same on every machine, whatever ran before."""

import hashlib

import numpy as np
import numpy.typing as npt

# Keras takes signed 32-bit seeds.
_SEED_BITS = 31


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2**31) that is a function of all parts: any other part gives an unrelated one."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> (64 - _SEED_BITS)


def fold_seed(study_seed: int, trial: int, fold: int) -> int:
    """The seed of one fold task; what order folds run in does not matter."""
    return derive_seed("fold", study_seed, trial, fold)


def draw_epoch(seed: int, epoch: int, images: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """The order of the training images in one epoch, and which of them are flipped how.

    Returns a permutation int32 [images], and bool [images, 2]: horizontal and vertical for the image at each place of
    the order, each true with probability 1/2. A counter-based generator keyed by seed and epoch: a fold that resumes at
    an epoch needs nothing but the epoch's number.
    """
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, epoch], np.uint64)))
    order = generator.permutation(images).astype(np.int32)
    flips = generator.integers(0, 2, (images, 2), np.uint8).astype(bool)
    return order, flips
