"""`rustk dataset build` on a clinic's folder: all cores against one process, and starting again half-way.

    python bench/build.py [--images 3000] [--height 1200] [--width 1000]

A third of the files each: uncompressed DICOM, DICOM in JPEG-LS, PNG; radiographs of the phantom in 12 (PNG: 8) bits.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

from rustk.datasets.phantom.cohort import PhantomPlan, plan_cohort
from rustk.datasets.phantom.tibia import draw
from rustk.vocabulary.instrument import load_instrument
from tests.datasets.dicom_files import as_bytes, dicom

INSTRUMENT = load_instrument("mrust")
KINDS = (("plain.dcm", pydicom.uid.ExplicitVRLittleEndian), ("ls.dcm", pydicom.uid.JPEGLSLossless), ("png", None))


def main() -> None:
    options = _parse()
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(prefix="rustk-bench-") as name:
        folder = Path(name)
        write = partial(_write, folder / "images", options.height, options.width)
        with ProcessPoolExecutor(cores) as pool:
            rows = list(pool.map(write, plan_cohort(INSTRUMENT, options.images, seed=0), chunksize=16))
        with (folder / "labels.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["image", "patient", "view", "visit", *INSTRUMENT.site_names], *rows])
        (folder / "salt").write_text("the salt of a benchmark, no secret\n")
        size = sum(path.stat().st_size for path in (folder / "images").iterdir())
        print(f"{options.images} images of {options.height}x{options.width}, {size / 1e9:.1f} GB")
        whole = _build(folder, "whole", cores)
        print(f"{cores} processes   {whole:7.1f} s   {options.images / whole:6.1f} images/s")
        # Stopped after half of that, and started again with the same work folder.
        stopped = _build(folder, "resumed", cores, stop_after=whole / 2)
        resumed = _build(folder, "resumed", cores)
        both = (stopped + resumed) / whole
        print(f"stopped after {stopped:.1f} s, then {resumed:.1f} s: {both:.2f} times as long in all")
        alone = _build(folder, "alone", 1)
        print(f"1 process     {alone:7.1f} s   {options.images / alone:6.1f} images/s")
        print(f"{cores} processes are {alone / whole:.2f} times as fast as one")


def _write(folder: Path, height: int, width: int, plan: PhantomPlan) -> list[str]:
    folder.mkdir(exist_ok=True)
    suffix, syntax = KINDS[plan.number % len(KINDS)]
    path = folder / f"{plan.number:05d}.{suffix}"
    drawn = Image.fromarray(draw(plan, size=299, seed=0)).resize((width, height), Image.Resampling.BICUBIC)
    if syntax is None:
        drawn.save(path)
    else:
        noise = np.random.default_rng(plan.number).integers(0, 16, (height, width), np.uint16)
        path.write_bytes(as_bytes(dicom(np.asarray(drawn, np.uint16) * 16 + noise, bits=12, transfer_syntax=syntax)))
    scores = [str(plan.scores.get(site) or "") for site in INSTRUMENT.site_names]
    return [path.name, f"patient-{plan.patient_number}", plan.view, str(plan.visit), *scores]


def _build(folder: Path, name: str, processes: int, stop_after: float | None = None) -> float:
    """Seconds that the command takes, or had when it was stopped."""
    command = [sys.executable, "-m", "rustk", "dataset", "build", str(folder / "images")]
    command += ["--labels", str(folder / "labels.csv"), "--name", "bench", "--processes", str(processes)]
    command += ["--store", str(folder / name), "--work-dir", str(folder / f"{name}-work")]
    command += ["--salt-file", str(folder / "salt")]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        code = process.wait(stop_after)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()
        code = 0
    if code:
        raise SystemExit(f"{' '.join(command)} ended with {code}")
    return time.perf_counter() - started


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--height", type=int, default=1200)
    parser.add_argument("--width", type=int, default=1000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
