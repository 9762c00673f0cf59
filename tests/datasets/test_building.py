"""From files and a table to samples: everything that is wrong is listed with its row, and nothing identifies anyone."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rustk.datasets import preparing
from rustk.datasets.building import BuildPlan, check_buildable, plan_build
from rustk.datasets.faults import FaultKind
from rustk.datasets.imaging import Preparation
from rustk.datasets.mapping import LabelMapping
from rustk.datasets.preparing import default_work_dir, prepare_images
from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.instrument import Instrument
from tests.datasets.clinic import Clinic
from tests.instruments import ODD, SINGLE


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path)


def build(clinic: Clinic, **changes: Any) -> BuildPlan:
    clinic.write_table()
    return plan_build(clinic.options(**({"work_dir": clinic.folder.parent / "work"} | changes)))


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def found(plan: BuildPlan) -> list[tuple[int, FaultKind]]:
    return [(fault.row, fault.kind) for fault in plan.faults]


def test_every_row_becomes_a_sample(clinic: Clinic) -> None:
    plan = build(clinic)
    assert not plan.faults
    assert sorted(sample.row for sample in plan.samples) == list(range(2, 26))
    assert plan.split_by == {"by": "seed", "fraction": 0.15, "seed": 0}
    by_row = {sample.row: sample for sample in plan.samples}
    for row, cells in enumerate(clinic.rows, start=2):
        assert by_row[row].view == cells[2]
        assert [str(by_row[row].scores[c] or "") for c in ("medial", "lateral", "anterior", "posterior")] == cells[4:]
        assert pixels_of(by_row[row].png_path).shape == (32, 32)
    patients = {
        cells[1]: {by_row[row].patient for row, c in enumerate(clinic.rows, 2) if c[1] == cells[1]}
        for cells in clinic.rows
    }
    assert all(len(hashes) == 1 for hashes in patients.values())
    assert len({hashes.pop() for hashes in patients.values()}) == len(patients)
    sides = {(sample.patient, sample.split) for sample in plan.samples}
    assert len({patient for patient, _ in sides}) == len(sides)
    assert [sample.split for sample in plan.samples] == sorted(sample.split for sample in plan.samples)


def test_nothing_of_the_table_but_labels_is_in_a_sample(clinic: Clinic) -> None:
    for sample in build(clinic).samples:
        stored = f"{sample.sample_id} {sample.patient} {sample.visit} {sample.phash}"
        assert not any(word in stored for word in ("MRN", "Doe", "ward", "2019"))


def test_the_salt_decides_every_hash_and_the_cut_stays(clinic: Clinic) -> None:
    first, again, other = build(clinic), build(clinic), build(clinic, salt=b"another salt of the tests")
    assert first == again
    for name in ("sample_id", "patient", "visit"):
        assert not {getattr(s, name) for s in first.samples} & {getattr(s, name) for s in other.samples}
    assert {s.row for s in first.samples if s.split == "test"} == {s.row for s in other.samples if s.split == "test"}


def test_the_order_of_the_table_and_the_number_of_processes_change_nothing(clinic: Clinic, tmp_path: Path) -> None:
    def content(plan: BuildPlan) -> list[tuple[object, ...]]:
        return [
            (s.sample_id, s.split, s.patient, s.visit, s.view, s.phash, s.png_path.read_bytes()) for s in plan.samples
        ]

    first = content(build(clinic))
    clinic.rows.reverse()
    assert content(build(clinic, processes=2, work_dir=tmp_path / "fresh")) == first


def test_only_visits_that_the_mapping_names_stay_readable(clinic: Clinic) -> None:
    plan = build(clinic, mapping=LabelMapping(visits={"baseline": ("2019-01", "2019-02")}))
    visits = {sample.row: sample.visit for sample in plan.samples}
    for row, cells in enumerate(clinic.rows, start=2):
        assert (visits[row] == "baseline") == (cells[3] in ("2019-01", "2019-02"))
        assert len(visits[row] or "") in (8, 16)


def test_the_preparation_decides_pixels_and_leaves_sample_ids(clinic: Clinic) -> None:
    Image.fromarray(pixels_of(clinic.path(0))[:20]).save(clinic.path(0))
    stretched, boxed = build(clinic), build(clinic, preparation=Preparation.LETTERBOX)
    assert [s.sample_id for s in stretched.samples] == [s.sample_id for s in boxed.samples]
    ours = [
        (a.png_path.read_bytes(), b.png_path.read_bytes())
        for a, b in zip(stretched.samples, boxed.samples, strict=True)
        if a.row == 2
    ]
    assert ours[0][0] != ours[0][1]


def test_every_fault_is_listed_with_its_row_and_file(clinic: Clinic) -> None:
    rows = clinic.rows
    clinic.path(0).unlink()
    clinic.path(1).write_bytes(clinic.path(1).read_bytes()[:300])
    rows[2][4] = "9"
    rows[3][2] = "skyline"
    rows[4][1] = ""
    rows[5][0] = "../labels.csv"
    rows[6].append("more")
    rows.append(list(rows[7]))
    plan = build(clinic)
    assert found(plan) == [
        (2, FaultKind.IMAGE_MISSING),
        (3, FaultKind.IMAGE_UNREADABLE),
        (4, FaultKind.LABEL_OUT_OF_RANGE),
        (5, FaultKind.UNKNOWN_VIEW),
        (6, FaultKind.PATIENT_MISSING),
        (7, FaultKind.IMAGE_MISSING),
        (8, FaultKind.MALFORMED_ROW),
        (26, FaultKind.IMAGE_LISTED_TWICE),
    ]
    for fault in plan.faults:
        line = fault.line("labels.csv")
        assert f"row {fault.row}: {rows[fault.row - 2][0]}: " in line
        assert "\n" not in line
    assert {sample.row for sample in plan.samples} == set(range(2, 27)) - {row for row, _ in found(plan)}
    with pytest.raises(BadData, match=r"8 of 25 rows have faults.*--skip-bad"):
        check_buildable(plan, clinic.table, skip_bad=False)
    check_buildable(plan, clinic.table, skip_bad=True)


def test_a_row_has_all_of_its_faults(clinic: Clinic) -> None:
    clinic.path(1).write_bytes(b"nothing")
    clinic.rows[1][4] = "x"
    assert found(build(clinic)) == [(3, FaultKind.IMAGE_UNREADABLE), (3, FaultKind.LABEL_OUT_OF_RANGE)]


def test_a_misspelt_file_is_guessed(clinic: Clinic) -> None:
    clinic.rows[0][0] = clinic.rows[0][0].upper().replace(".PNG", ".png").replace("WARD", "ward")
    (fault,) = build(clinic).faults
    assert "did you mean ward" in fault.message


def test_a_file_whose_name_no_table_can_hold_is_to_be_renamed(clinic: Clinic) -> None:
    path = clinic.path(0)
    path.rename(os.fsdecode(os.fsencode(path.with_suffix("")) + b"\xff" + os.fsencode(path.suffix)))
    (fault,) = build(clinic).faults
    assert r"\udcff" in fault.message
    assert "whose name no table can hold: give it a name in UTF-8" in fault.message
    assert "did you mean" not in fault.message


def test_what_is_there_and_no_file_is_not_taken_for_another(clinic: Clinic) -> None:
    folder, capitals = clinic.path(0), clinic.rows[1][0]
    folder.unlink()
    folder.mkdir()
    clinic.rows[1][0] = capitals.upper()
    first, second = build(clinic).faults
    assert "is not a file, though it is in" in first.message
    assert "did you mean" not in first.message
    assert f"did you mean {capitals}?" in second.message


def test_backslashes_and_dots_lead_to_the_same_file(clinic: Clinic) -> None:
    clinic.rows[0][0] = clinic.rows[0][0].replace("/", "\\")
    clinic.rows[1][0] = "./" + clinic.rows[1][0]
    assert not build(clinic).faults


def test_copies_that_agree_keep_their_first_row(clinic: Clinic) -> None:
    for place in (3, 6):  # both PNG, as is the one at 0
        shutil.copy(clinic.path(0), clinic.path(place))
        clinic.rows[place][1:] = clinic.rows[0][1:]
    plan = build(clinic)
    assert found(plan) == [(5, FaultKind.DUPLICATE_PIXELS), (8, FaultKind.DUPLICATE_PIXELS)]
    assert f"row 2 ({clinic.rows[0][0]})" in plan.faults[0].message


def test_copies_that_contradict_each_other_are_all_faults(clinic: Clinic) -> None:
    # The same pixels in another format, under another patient's name.
    pixels = pixels_of(clinic.path(0))
    Image.fromarray(pixels).save(clinic.path(3), compress_level=1)
    clinic.rows[3][1] = "MRN-other"
    plan = build(clinic)
    assert found(plan) == [(2, FaultKind.DUPLICATE_PIXELS), (5, FaultKind.DUPLICATE_PIXELS)]
    assert "with another label" in plan.faults[0].message


def with_split(clinic: Clinic) -> None:
    clinic.header.append("split")
    patients = sorted({row[1] for row in clinic.rows})
    for row in clinic.rows:
        row.append("test" if row[1] == patients[0] else "develop")


def test_a_split_column_decides(clinic: Clinic) -> None:
    with_split(clinic)
    plan = build(clinic)
    assert plan.split_by == {"by": "column"}
    assert {s.row: s.split for s in plan.samples} == {row: cells[-1] for row, cells in enumerate(clinic.rows, 2)}
    with pytest.raises(BadStudy, match="has a split column"):
        build(clinic, test_fraction=0.2)


def test_a_patient_on_both_sides_is_a_fault_of_every_row_of_his(clinic: Clinic) -> None:
    with_split(clinic)
    places = [place for place, row in enumerate(clinic.rows) if row[1] == clinic.rows[0][1]]
    assert len(places) > 1
    clinic.rows[places[0]][-1], clinic.rows[places[1]][-1] = "develop", "test"
    plan = build(clinic)
    assert found(plan) == [(place + 2, FaultKind.PATIENT_IN_BOTH_SPLITS) for place in places]
    assert f"test (row {places[1] + 2}" in plan.faults[0].message


def test_warnings_say_what_no_program_checks(clinic: Clinic) -> None:
    clinic.rows[0][4:] = ["1", "2", "3", "4"]
    (clinic.folder / "notes.txt").write_text("not in the table")
    (clinic.folder / ".hidden").write_text("nobody's business")
    said = " | ".join(build(clinic).warnings)
    assert "burnt into the images is not detected" in said
    assert f"the view {clinic.rows[0][2]} has scores for medial, lateral, anterior, posterior" in said
    assert "1 file is not used, for no row of the table names them" in said
    clinic.header[1] = "ignored"
    plan = build(clinic, mapping=LabelMapping(columns={"patient": None}))
    assert "patients are not known" in " | ".join(plan.warnings)
    assert {sample.patient for sample in plan.samples} == {None}
    assert {sample.split for sample in plan.samples} == {"develop", "test"}


def test_what_is_left_must_be_something(clinic: Clinic) -> None:
    for row in clinic.rows:
        row[0] = "nowhere.png"
    plan = build(clinic)
    assert len(plan.faults) == 24
    with pytest.raises(BadData, match="too few rows without a fault"):
        check_buildable(plan, clinic.table, skip_bad=True)


def test_a_table_without_a_score_is_refused(clinic: Clinic) -> None:
    for row in clinic.rows:
        row[4:] = [""] * 4
    with pytest.raises(BadData, match="no row has a score: expected one in some cell at least: nothing was written"):
        check_buildable(build(clinic), clinic.table, skip_bad=True)


def test_faults_are_told_even_when_what_is_left_can_t_be_cut(clinic: Clinic) -> None:
    patient = clinic.rows[0][1]
    for row in clinic.rows:
        if row[1] != patient:
            row[2] = "skyline"
    plan = build(clinic)
    assert {kind for _, kind in found(plan)} == {FaultKind.UNKNOWN_VIEW}
    with pytest.raises(BadData, match="too few rows"):
        check_buildable(plan, clinic.table, skip_bad=True)


def test_a_folder_must_be_one(clinic: Clinic) -> None:
    with pytest.raises(BadStudy, match="is a file, not a folder: expected a folder"):
        build(clinic, folder=clinic.table)
    with pytest.raises(BadStudy, match="no such folder: expected a folder"):
        build(clinic, folder=clinic.folder / "absent")
    with pytest.raises(BadStudy, match="File name too long"):
        build(clinic, folder=clinic.folder / ("x" * 300))


def test_an_interrupted_build_goes_on_where_it_stopped(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    real = preparing.decode

    def counting(data: bytes, suffix: str) -> Any:
        decoded.append(len(data))
        if len(decoded) == 10:
            raise KeyboardInterrupt
        return real(data, suffix)

    monkeypatch.setattr(preparing, "decode", counting)
    with pytest.raises(KeyboardInterrupt):
        build(clinic)
    first = build(clinic)
    assert len(decoded) == 10 + (24 - 9)
    assert build(clinic) == first
    assert len(decoded) == 25


def test_what_was_kept_is_made_again_when_it_is_damaged_or_the_file_changed(clinic: Clinic) -> None:
    first = {sample.row: sample for sample in build(clinic).samples}
    first[2].png_path.write_bytes(b"torn")
    Image.fromarray(255 - pixels_of(clinic.path(3))).save(clinic.path(3))
    again = {sample.row: sample for sample in build(clinic).samples}
    assert again[2] == first[2]
    assert pixels_of(again[2].png_path).shape == (32, 32)
    assert again[5].sample_id != first[5].sample_id


def test_progress_counts_every_image(clinic: Clinic) -> None:
    seen: list[tuple[int, int]] = []
    plan_build(clinic.options(clinic.folder.parent / "work"), lambda done, total: seen.append((done, total)))
    assert seen == [(done, 24) for done in range(1, 25)]


def test_an_image_that_vanishes_meanwhile_is_unreadable(tmp_path: Path) -> None:
    options: dict[str, Any] = {"size": 32, "preparation": Preparation.STRETCH, "work_dir": tmp_path, "processes": 1}
    assert prepare_images([tmp_path / "gone.png"], **options) == ["No such file or directory"]
    with pytest.raises(BadStudy, match="--processes 0"):
        prepare_images([], **(options | {"processes": 0}))


def test_folders_have_work_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_work_dir(tmp_path / "a") != default_work_dir(tmp_path / "b")
    assert default_work_dir(tmp_path / "a" / ".." / "a") == default_work_dir(tmp_path / "a")
    assert default_work_dir(tmp_path / "a").is_relative_to(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": -1}, "--seed -1: expected"),
        ({"seed": 10**40}, "--seed 1000"),
        ({"processes": 0}, "--processes 0: expected 1 to 256"),
        ({"processes": 10**9}, "--processes 1000000000"),
        ({"test_fraction": float("nan")}, "--test-fraction nan"),
    ],
)
def test_an_option_that_can_t_be_is_refused_before_any_image_is_read(
    changes: dict[str, Any], said: str, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "decode", pytest.fail)
    with pytest.raises(BadStudy, match=said):
        build(clinic, **changes)


def test_a_work_folder_that_is_a_file_is_refused(clinic: Clinic) -> None:
    for work_dir in (clinic.table, clinic.table / "below"):
        with pytest.raises(BadStudy, match=r"--work-dir .*: expected a folder, or a place for one"):
            build(clinic, work_dir=work_dir)


def test_scores_that_never_occur_cap_the_figure_and_it_is_said(clinic: Clinic) -> None:
    assert "AUROC" not in " | ".join(build(clinic).warnings)
    for row in clinic.rows:
        row[4:] = [cell.replace("4", "3") for cell in row[4:]]
    said = " | ".join(build(clinic).warnings)
    assert "no AUROC exists for 4 of 18 labels" in said
    assert "(medial_4, lateral_4, anterior_4, posterior_4)" in said
    assert "counts them as 0, and can't exceed 14 of 18 = 0.778" in said


@pytest.mark.parametrize("instrument", [ODD, SINGLE])
def test_any_instrument_is_built(instrument: Instrument, tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, 36, instrument)
    if instrument == SINGLE:
        clinic.header.remove("view")
        for row in clinic.rows:
            del row[2]
    plan = build(clinic)
    assert not plan.faults
    assert len(plan.samples) == 36
    places = [clinic.header.index(site) for site in instrument.site_names]
    for sample in plan.samples:
        cells = clinic.rows[sample.row - 2]
        assert ["" if (score := sample.scores[site]) is None else str(score) for site in instrument.site_names] == [
            cells[place] for place in places
        ]
