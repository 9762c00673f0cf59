"""What the worker runs on: threads, determinism, and how to call it in a history."""

import gc
import os
import platform
import time
from functools import cache
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import rustk
from rustk.training.requirement import thread_count
from rustk.vocabulary.commit import with_commit


def prepare() -> None:
    """Set TensorFlow up so that a fold gives the same numbers wherever it runs on machines of one kind.

    One thread an operation unless RUSTK_THREADS says more: the order of additions depends on how many share a matrix
    product, so that a worker beside others, or in a pod of one CPU, would differ from one alone. Must come before
    TensorFlow's first operation. Raises BadStudy for a RUSTK_THREADS that is no number of threads.
    """
    tf.config.threading.set_intra_op_parallelism_threads(thread_count())
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    for gpu in tf.config.list_physical_devices("GPU"):
        # Otherwise the first worker takes all of the card's memory.
        tf.config.experimental.set_memory_growth(gpu, True)
    gc.freeze()  # what was imported: only what comes after it can become garbage
    gc.enable()


def seconds_since_start() -> float:
    """How long ago this process was started, so what it took to import everything; 0 where the system does not say."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


@cache
def device_name() -> str:
    """The GPU's name, or the processor's."""
    for gpu in tf.config.list_physical_devices("GPU"):
        return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def container_image() -> str | None:
    """The container image this runs in, as the Job's template says in RUSTK_IMAGE; None outside one."""
    return os.environ.get("RUSTK_IMAGE") or None


def versions() -> dict[str, str]:
    """Of everything that could change a number."""
    return with_commit(
        {
            "rustk": rustk.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        }
    )
