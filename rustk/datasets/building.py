"""From a folder of images and a table of labels to the samples of a dataset, and all that is wrong with them."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rustk.datasets.faults import Fault, FaultKind
from rustk.datasets.holdout import check_fraction, check_seed, cut_holdout
from rustk.datasets.image_files import check_folder, find_files
from rustk.datasets.imaging import Preparation
from rustk.datasets.label_checks import encode_rows, warn_of_labels
from rustk.datasets.label_table import LabelRow, read_label_table
from rustk.datasets.mapping import LabelMapping
from rustk.datasets.preparing import PreparedImage, check_processes, prepare_images
from rustk.datasets.pseudonyms import pseudonym
from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.instrument import Instrument

DEFAULT_TEST_FRACTION = 0.15


@dataclass(frozen=True)
class BuildOptions:
    """What a build is asked for. `test_fraction` None: 15 %, unless the table has a split column."""

    folder: Path
    table: Path
    mapping: LabelMapping
    instrument: Instrument
    size: int
    preparation: Preparation
    test_fraction: float | None
    seed: int
    salt: bytes
    work_dir: Path
    processes: int


@dataclass(frozen=True)
class BuildSample:
    """One image that goes into the dataset. `row` and `image` tell where it came from and stay on this machine."""

    row: int
    image: str
    sample_id: str
    split: str
    patient: str | None
    visit: str | None
    view: str
    scores: Mapping[str, int | None]
    png_path: Path
    phash: str


@dataclass(frozen=True)
class BuildPlan:
    """Samples in the order they are stored in (develop first), every fault of every other row, and what to be aware
    of.
    """

    samples: tuple[BuildSample, ...]
    faults: tuple[Fault, ...]
    warnings: tuple[str, ...]
    row_count: int
    split_by: Mapping[str, object]


@dataclass(frozen=True)
class _Candidate:
    label: LabelRow
    prepared: PreparedImage

    @property
    def says(self) -> tuple[object, ...]:
        """All that the table says of an image; copies that differ in it contradict each other."""
        label = self.label
        return label.patient, label.visit, label.view, label.split, tuple(sorted(label.scores.items()))


def plan_build(options: BuildOptions, progress: Callable[[int, int], None] | None = None) -> BuildPlan:
    """Read the table, prepare every image that it names, and decide what goes where. Writes to the work folder only.

    The same files, table, options and salt give the same samples, whatever the number of processes. Raises BadStudy
    for a folder, table or option that can't be used at all; faults of single rows are listed in the plan.
    """
    fraction = DEFAULT_TEST_FRACTION if options.test_fraction is None else options.test_fraction
    check_asked(options.folder, seed=options.seed, processes=options.processes, test_fraction=fraction)
    table = read_label_table(options.table, options.mapping, options.instrument)
    if table.has_split and options.test_fraction is not None:
        raise BadStudy(
            f"--test-fraction {options.test_fraction}: {options.table} has a split column, which decides: "
            "leave one of them out"
        )
    faults = list(table.faults)
    files, unlisted = find_files(options.folder, table, faults)
    paths = sorted(set(files.values()))
    prepared = dict(
        zip(
            paths,
            prepare_images(
                [options.folder / path for path in paths],
                size=options.size,
                preparation=options.preparation,
                work_dir=options.work_dir,
                processes=options.processes,
                progress=progress,
            ),
            strict=True,
        )
    )
    for row, path in files.items():
        if isinstance(reason := prepared[path], str):
            faults.append(Fault(row, FaultKind.IMAGE_UNREADABLE, table.images[row], reason))
    candidates = [
        _Candidate(label, image)
        for label in table.rows
        if label.row in files and isinstance(image := prepared[files[label.row]], PreparedImage)
    ]
    candidates = _drop_copies(candidates, faults, lambda one: files[one.label.row], FaultKind.IMAGE_LISTED_TWICE)
    candidates = _drop_copies(candidates, faults, lambda one: one.prepared.png_sha256, FaultKind.DUPLICATE_PIXELS)
    if table.has_split:
        candidates = _drop_both_sides(candidates, faults)
        split_by: dict[str, object] = {"by": "column"}
        splits = [str(one.label.split) for one in candidates]
    else:
        split_by = {"by": "seed", "fraction": fraction, "seed": options.seed}
        try:
            splits = _cut(candidates, fraction, options) if candidates else []
        except BadStudy:
            if not faults:
                raise
            # What the faults left can't be cut; they are what there is to tell.
            candidates, splits = [], []
    samples = [_sample(one, split, options) for one, split in zip(candidates, splits, strict=True)]
    samples.sort(key=lambda sample: (sample.split != "develop", sample.sample_id))
    return BuildPlan(
        samples=tuple(samples),
        faults=tuple(sorted(faults)),
        warnings=tuple(_warnings(candidates, options, unlisted)),
        row_count=table.row_count,
        split_by=split_by,
    )


def check_asked(folder: Path, *, seed: int, processes: int, test_fraction: float | None) -> None:
    """What can be said of a build before anything is read or made. Raises BadStudy, naming the option."""
    check_folder(folder)
    check_seed(seed)
    check_processes(processes)
    if test_fraction is not None:
        check_fraction(test_fraction)


def check_buildable(plan: BuildPlan, table: Path, *, skip_bad: bool) -> None:
    """Raise BadData unless the plan can be written: it has no faults, or they may be skipped and something is left."""
    rows = len({fault.row for fault in plan.faults})
    if plan.faults and not skip_bad:
        raise BadData(
            f"{table}: {rows} of {plan.row_count} rows {'has' if rows == 1 else 'have'} faults, listed above: "
            f"nothing was written; mend them, or leave {'this row' if rows == 1 else 'these rows'} out with --skip-bad"
        )
    if plan.samples and not any(score is not None for one in plan.samples for score in one.scores.values()):
        raise BadData(
            f"{table}: no row has a score: expected one in some cell at least: nothing was written; say in a --mapping "
            "file which columns hold the scores"
        )
    if plan.samples and all(sample.split == "test" for sample in plan.samples):
        raise BadData(f"{table}: every row is of the test split: expected some to develop on: nothing was written")
    if not any(sample.split == "develop" for sample in plan.samples):
        raise BadData(f"{table}: too few rows without a fault are left to make a dataset of: nothing was written")


def _drop_copies(
    candidates: list[_Candidate], faults: list[Fault], key: Callable[[_Candidate], str], kind: FaultKind
) -> list[_Candidate]:
    """Keep the first of several rows with the same image, or none of them where they contradict each other."""
    groups = defaultdict(list)
    for one in candidates:
        groups[key(one)].append(one)
    dropped = set()
    for group in groups.values():
        if len(group) == 1:
            continue
        agree = len({one.says for one in group}) == 1
        for one in group[1:] if agree else group:
            dropped.add(one.label.row)
            others = ", ".join(f"row {other.label.row} ({other.label.image})" for other in group if other is not one)
            message = f"the same image as {others}" if agree else f"the same image as {others}, with another label"
            faults.append(Fault(one.label.row, kind, one.label.image, message))
    return [one for one in candidates if one.label.row not in dropped]


def _drop_both_sides(candidates: list[_Candidate], faults: list[Fault]) -> list[_Candidate]:
    """Drop patients that the split column puts on both sides: which side is right, no program can know."""
    rows: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for one in candidates:
        if one.label.patient is not None:
            rows[one.label.patient][str(one.label.split)].append(one.label.row)
    kept = []
    for one in candidates:
        sides = rows.get(one.label.patient or "", {})
        if len(sides) > 1:
            said = " and ".join(
                f"{side} (row {', row '.join(map(str, found))})" for side, found in sorted(sides.items())
            )
            message = f"its patient is in both splits: {said}"
            faults.append(Fault(one.label.row, FaultKind.PATIENT_IN_BOTH_SPLITS, one.label.image, message))
        else:
            kept.append(one)
    return kept


def _cut(candidates: list[_Candidate], fraction: float, options: BuildOptions) -> list[str]:
    # Where patients are unknown an image stands for itself.
    patients = [one.label.patient or f"image {one.prepared.pixels_sha256}" for one in candidates]
    chosen = cut_holdout(
        patients,
        encode_rows([one.label for one in candidates], options.instrument),
        fraction=fraction,
        seed=options.seed,
    )
    return ["test" if one else "develop" for one in chosen]


def _sample(one: _Candidate, split: str, options: BuildOptions) -> BuildSample:
    label, salt = one.label, options.salt
    visit = None
    if label.visit is not None:
        # A visit may be called by its date: only what the mapping names on purpose is kept readable.
        visit = options.mapping.named_visit(label.visit) or pseudonym(salt, "visit", label.patient or "", label.visit)
    return BuildSample(
        row=label.row,
        image=label.image,
        sample_id=pseudonym(salt, "image", one.prepared.pixels_sha256),
        split=split,
        patient=None if label.patient is None else pseudonym(salt, "patient", label.patient),
        visit=visit,
        view=label.view,
        scores=label.scores,
        png_path=one.prepared.png_path,
        phash=one.prepared.phash,
    )


def _warnings(candidates: list[_Candidate], options: BuildOptions, unlisted: int) -> list[str]:
    found = ["text burnt into the images is not detected: look at them before you share the dataset"]
    if burnt := sorted(one.label.row for one in candidates if one.prepared.says_burnt_in):
        rows = ", ".join(map(str, burnt[:10])) + (", ..." if len(burnt) > 10 else "")
        files = "1 DICOM file says" if len(burnt) == 1 else f"{len(burnt)} DICOM files say"
        found.append(f"{files} that text is burnt into the image: row {rows}")
    if options.mapping.lacks("patient"):
        found.append("patients are not known: nothing keeps one patient's images on one side of a split or fold")
    found += warn_of_labels([one.label for one in candidates], options.instrument)
    if unlisted:
        files = "1 file is" if unlisted == 1 else f"{unlisted} files are"
        found.append(f"{files} not used, for no row of the table names them: below {options.folder}")
    return found
