"""Prepares many image files at once: decoded, made square and hashed, in processes, with what is done kept for a next
try.
"""

import hashlib
import importlib.metadata
import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from rustk.datasets.decoding import DECODING, UnreadableImage, decode
from rustk.datasets.imaging import Preparation, encode_png, perceptual_hash, prepare
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadStudy, RustkError
from rustk.vocabulary.user_paths import make_folder

MIN_SIZE, MAX_SIZE = 32, 2048
MAX_PROCESSES = 256


@dataclass(frozen=True)
class PreparedImage:
    """An image as it will be stored, in a file of the work folder."""

    png_path: Path
    png_sha256: str
    pixels_sha256: str  # of the decoded image, before it was made square
    phash: str
    says_burnt_in: bool


def prepare_images(
    paths: Sequence[Path],
    *,
    size: int,
    preparation: Preparation,
    work_dir: Path,
    processes: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[PreparedImage | str]:
    """Prepare the images at `paths`, in their order: each as a PreparedImage, or the reason why it can't be one.

    Files of `work_dir` are called by the digest of what an image is made from and how, so that an interrupted build
    goes on where it stopped and a changed file is made again. `progress(done, total)` is called as images are done.
    Raises RustkError where a package is missing, a process was killed or the work folder is full, and BadStudy for a
    work folder that can't be one or a number of processes outside 1..256.
    """
    check_processes(processes)
    make_work_dir(work_dir)
    recipe = json.dumps(describe_preparation(size, preparation), sort_keys=True)
    one = partial(_prepare_one, size=size, preparation=preparation, work_dir=work_dir, recipe=recipe)
    found: list[PreparedImage | str] = []
    if processes == 1 or len(paths) < 2 * processes:
        for path in paths:
            found.append(one(path))
            if progress is not None:
                progress(len(found), len(paths))
        return found
    # Not fork: the parent may hold TensorFlow's threads, which a fork would leave locked.
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    try:
        for image in pool.map(one, paths, chunksize=4):
            found.append(image)
            if progress is not None:
                progress(len(found), len(paths))
    except BrokenProcessPool:
        raise RustkError(
            f"a process that reads images was killed after {len(found)} of {len(paths)}, perhaps for memory: "
            "run the same command again with fewer --processes; what is done is kept"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return found


def describe_preparation(size: int, preparation: Preparation) -> dict[str, object]:
    """The `preparation` of dataset.json: how pixels came about, and by which versions."""
    return {
        "method": preparation.value,
        "size": size,
        "resampling": "lanczos",
        "decoding": DECODING,
        "pillow": _version("pillow"),
        "pydicom": _version("pydicom"),
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _prepare_one(
    path: Path, *, size: int, preparation: Preparation, work_dir: Path, recipe: str
) -> PreparedImage | str:
    try:
        data = path.read_bytes()
    except OSError as error:
        return error.strerror or "can't be opened"
    digest = hashlib.sha256(data)
    digest.update(json.dumps([recipe, path.suffix.lower()]).encode())
    png_path, facts_path = (work_dir / f"{digest.hexdigest()}{suffix}" for suffix in (".png", ".json"))
    if (kept := _kept(png_path, facts_path)) is not None:
        return kept
    try:
        radiograph = decode(data, path.suffix)
    except UnreadableImage as error:
        return str(error)
    shape = f"{radiograph.pixels.shape[0]}x{radiograph.pixels.shape[1]}:".encode()
    square = prepare(radiograph.pixels, size, preparation)
    png = encode_png(square)
    image = PreparedImage(
        png_path=png_path,
        png_sha256=hashlib.sha256(png).hexdigest(),
        pixels_sha256=hashlib.sha256(shape + radiograph.pixels.tobytes()).hexdigest(),
        phash=perceptual_hash(square),
        says_burnt_in=radiograph.says_burnt_in,
    )
    facts = {name: value for name, value in asdict(image).items() if name != "png_path"}
    _write_whole(png_path, png)
    _write_whole(facts_path, json.dumps(facts).encode())  # last: it says that the PNG is there
    return image


def _kept(png_path: Path, facts_path: Path) -> PreparedImage | None:
    try:
        image = PreparedImage(png_path=png_path, **json.loads(facts_path.read_bytes()))
        return image if hashlib.sha256(png_path.read_bytes()).hexdigest() == image.png_sha256 else None
    except (OSError, ValueError, TypeError):
        return None  # not there, or damaged: it is made again


def _write_whole(path: Path, data: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        raise RustkError(
            f"could not write to the work folder {path.parent}: {error.strerror}: make room, or choose another "
            "--work-dir"
        ) from error


def make_work_dir(work_dir: Path) -> None:
    """Make the folder for prepared images, of this user alone. Raises BadStudy where none can be."""
    make_folder(work_dir, "--work-dir", mode=0o700)


def check_processes(processes: int) -> None:
    """Raise BadStudy for a number of processes outside 1..256."""
    if not 1 <= processes <= MAX_PROCESSES:
        raise BadStudy(f"--processes {processes}: expected 1 to {MAX_PROCESSES}")


def check_preparation(preparation: str, size: int) -> Preparation:
    """The preparation of this name. Raises BadStudy for another one, or a size that no image can have."""
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise BadStudy(f"--size {size}: expected the side of a square in pixels, from {MIN_SIZE} to {MAX_SIZE}")
    try:
        return Preparation(preparation)
    except ValueError:
        raise BadStudy(f"--preparation {clip(preparation)}: expected {' or '.join(Preparation)}") from None


def default_work_dir(folder: Path) -> Path:
    """Where an interrupted build of this folder finds what it had done; of this user alone."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "rustk" / "builds" / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
