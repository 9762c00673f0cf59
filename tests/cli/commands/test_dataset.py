"""`rustk phantom` and `rustk dataset`: data into a store and out again, as a user sees them."""

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from rustk.cli.app import app
from rustk.datasets.reading import read_split
from rustk.store import open_store
from rustk.store.datasets import read_dataset
from rustk.vocabulary.errors import BadData, BadStudy
from rustk.vocabulary.instrument import Instrument
from tests.datasets.clinic import Clinic
from tests.datasets.dicom_files import IDENTIFYING
from tests.instruments import MRUST, ODD, SINGLE


def rustk(*arguments: str | Path) -> Result:
    """The command in this process. Raises the error of rustk's own that would have ended it."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(autouse=True)
def _home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def phantom_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("phantom") / "store"
    rustk("phantom", "--images", "40", "--size", "48", "--processes", "1", "--store", store)
    return store


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path)


def files_of(store: Path) -> dict[str, bytes]:
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in store.rglob("*") if path.is_file()}


def test_phantom_draws_a_dataset_that_training_reads(phantom_store: Path) -> None:
    store = open_store(str(phantom_store))
    described = json.loads(store.read("datasets/phantom/dataset.json"))
    assert described["counts"] == {"develop": 34, "test": 6}
    assert described["source"]["kind"] == "phantom"
    index = pd.read_parquet(phantom_store / "datasets/phantom/index.parquet")
    for split in ("develop", "test"):
        rows = index[index["split"] == split]
        read = read_split(store, read_dataset(store, "phantom"), split)
        assert read.images.shape == (len(rows), 48, 48)
        assert list(read.sample_ids) == list(rows["sample_id"])
        expected = [
            MRUST.encode(row["view"], {c: None if pd.isna(row[c]) else int(row[c]) for c in MRUST.site_names})
            for row in rows.to_dict("records")
        ]
        assert np.array_equal(read.labels, np.array(expected))
    assert index["image_phash"].str.fullmatch("[0-9a-f]{16}").all()
    assert index["visit"].isin(["baseline", "3-months", "6-months", "12-months"]).all()


def test_the_same_phantom_is_left_alone_and_another_refused(phantom_store: Path) -> None:
    before = files_of(phantom_store)
    again = rustk("phantom", "--images", "40", "--size", "48", "--store", phantom_store)
    assert "was already in" in again.stdout
    for other in (["--images", "41", "--size", "48"], ["--images", "40", "--size", "48", "--fault", "view-shortcut"]):
        with pytest.raises(BadStudy, match=r"has another dataset 'phantom' .*choose another --name"):
            rustk("phantom", *other, "--store", phantom_store)
    assert files_of(phantom_store) == before


def test_two_processes_draw_the_same_phantom(phantom_store: Path, tmp_path: Path) -> None:
    rustk("phantom", "--images", "40", "--size", "48", "--processes", "2", "--store", tmp_path / "store")
    assert files_of(tmp_path / "store") == files_of(phantom_store)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--images", "3"], "--images 3"),
        (["--images", str(10**12)], "--images 1000000000000: expected at least 12 .* and at most 100000"),
        (["--seed", str(10**40)], "--seed 1000"),
        (["--signal", "nan"], "--signal nan"),
        (["--size", str(10**9)], "--size 1000000000"),
        (["--processes", str(10**6)], "--processes 1000000: expected 1 to 256"),
        (["--name", ""], "--name ''"),
        (["--name", "a" * 64], "--name 'aaa"),
        (["--name", "../up"], r"--name '\.\./up'"),
        (["--instrument", "mrsut"], "there is no instrument 'mrsut': did you mean mrust"),
        (["--instrument", "none.yaml"], "none.yaml: [Nn]o such file"),
        (["--size", "5"], "--size 5"),
        (["--signal", "7"], "--signal 7"),
        (["--seed", "-1"], "--seed -1"),
        (["--name", "My Data"], "--name 'My Data'"),
        (["--processes", "0"], "--processes 0"),
    ],
)
def test_a_phantom_that_can_t_be_is_refused_with_nothing_written(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(BadStudy, match=said):
        rustk("phantom", "--store", tmp_path / "store", *arguments)
    assert not (tmp_path / "store").exists() or not files_of(tmp_path / "store")


def test_show_prints_what_the_index_holds(phantom_store: Path) -> None:
    shown = json.loads(rustk("dataset", "show", "--store", phantom_store, "--json").stdout)
    index = pd.read_parquet(phantom_store / "datasets/phantom/index.parquet")
    for split in shown["splits"]:
        rows = index[index["split"] == split["split"]]
        assert (split["images"], split["patients"]) == (len(rows), rows["patient"].nunique())
    for one in shown["sites"]:
        rows = index[(index["split"] == one["split"]) & (index["view"] == one["view"])]
        assert one["scores"] == {str(score): int((rows[one["site"]] == score).sum()) for score in (1, 2, 3, 4)}
    printed = rustk("dataset", "show", "phantom", "--store", phantom_store).stdout
    assert all(
        word in printed
        for word in (
            "develop",
            "test",
            "medial",
            "posterior",
            "unscored",
            "source: kind phantom",
            "instrument: mrust, ",
        )
    )
    with pytest.raises(BadStudy, match="no dataset 'fantom': did you mean phantom"):
        rustk("dataset", "show", "fantom", "--store", phantom_store)


def test_list_names_every_dataset(phantom_store: Path, tmp_path: Path) -> None:
    assert "phantom" in rustk("dataset", "list", "--store", phantom_store).stdout
    (listed,) = json.loads(rustk("dataset", "list", "--store", phantom_store, "--json").stdout)
    assert (listed["counts"], listed["instrument"]) == ({"develop": 34, "test": 6}, "mrust")
    assert "has no dataset" in rustk("dataset", "list", "--store", tmp_path / "empty").stdout


def test_verify_finds_every_kind_of_damage(phantom_store: Path, tmp_path: Path) -> None:
    assert "is whole: 10 shards, 40 records" in rustk("dataset", "verify", "--store", phantom_store).stdout
    store = tmp_path / "store"
    for key, data in files_of(phantom_store).items():
        (store / key).parent.mkdir(parents=True, exist_ok=True)
        (store / key).write_bytes(data)
    folder = store / "datasets/phantom"
    changed, cut, gone = sorted(folder.glob("develop-*"))[:3]
    data = bytearray(changed.read_bytes())
    data[100] ^= 1
    changed.write_bytes(data)
    cut.write_bytes(cut.read_bytes()[:-1])
    gone.unlink()
    described = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(described | {"image_shape": [7, 7, 1], "preparation": {}}))
    result = CliRunner().invoke(app, ["dataset", "verify", "--store", str(store)])
    assert isinstance(result.exception, BadData)
    assert "damaged in 4 places" in str(result.exception)
    for said in (f"{changed.name} has sha256", f"{cut.name} has", f"{gone.name} is missing", "has the digest"):
        assert said in result.stderr


def test_build_writes_a_dataset_that_identifies_nobody(clinic: Clinic, tmp_path: Path) -> None:
    store, key = tmp_path / "store", tmp_path / "key.csv"
    arguments = [
        "dataset",
        "build",
        clinic.folder,
        "--labels",
        clinic.table,
        "--name",
        "clinic",
        "--size",
        "48",
        "--processes",
        "1",
        "--store",
        store,
    ]
    built = rustk(*arguments, "--key-file", key)
    assert "dataset clinic is in" in built.stdout
    assert "burnt into the images is not detected" in built.stderr
    stored = files_of(store)
    everything = b"".join(stored.values()) + "".join(stored).encode()
    # A digest of random salt may well have four digits that make a year; a date of an image has no letter in it.
    everything = re.sub(rb"(?=[0-9]*[a-f])[0-9a-f]{16,}", b"", everything)
    identifying = [*IDENTIFYING.values(), *{row[1] for row in clinic.rows}, "ward", "Doe", "2019", str(tmp_path)]
    assert not [word for word in identifying if word.encode() in everything]
    with key.open(newline="") as file:
        origin = {row["sample_id"]: row for row in csv.DictReader(file)}
    index = pd.read_parquet(store / "datasets/clinic/index.parquet").set_index("sample_id")
    assert set(origin) == set(index.index)
    for sample_id, row in origin.items():
        assert row["image"] == clinic.rows[int(row["row"]) - 2][0]
        assert index.loc[sample_id, "view"] == clinic.rows[int(row["row"]) - 2][2]
    assert key.stat().st_mode & 0o077 == 0
    # No image stays behind in a cache, and the same again changes nothing.
    assert not list((tmp_path / "cache").rglob("*.png"))
    rustk(*arguments)
    assert files_of(store) == stored
    assert "is whole" in rustk("dataset", "verify", "--store", store).stdout


def test_build_keeps_what_a_png_shows(clinic: Clinic, tmp_path: Path) -> None:
    store = tmp_path / "store"
    key = tmp_path / "key.csv"
    rustk(
        "dataset",
        "build",
        clinic.folder,
        "--labels",
        clinic.table,
        "--name",
        "clinic",
        "--size",
        "40",
        "--store",
        store,
        "--key-file",
        key,
        "--test-fraction",
        "0",
        "--processes",
        "1",
    )
    opened = open_store(str(store))
    read = read_split(opened, read_dataset(opened, "clinic"), "develop")
    with key.open(newline="") as file:
        origin = {row["sample_id"]: row["image"] for row in csv.DictReader(file)}
    compared = 0
    for sample_id, pixels in zip(read.sample_ids, read.images, strict=True):
        if origin[sample_id].endswith(".png"):
            with Image.open(clinic.folder / origin[sample_id]) as image:
                assert np.array_equal(pixels, np.asarray(image))
            compared += 1
    assert compared == 8


def test_build_lists_faults_and_writes_nothing_unless_they_may_be_skipped(clinic: Clinic, tmp_path: Path) -> None:
    clinic.rows[4][4] = "7"
    clinic.rows[9][0] = "absent.png"
    clinic.write_table()
    store = tmp_path / "store"
    arguments = [
        "dataset",
        "build",
        str(clinic.folder),
        "--labels",
        str(clinic.table),
        "--name",
        "clinic",
        "--size",
        "32",
        "--store",
        str(store),
        "--processes",
        "1",
    ]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, BadData)
    assert "labels.csv row 6: " in result.stderr
    assert "medial is '7'" in result.stderr
    assert "labels.csv row 11: absent.png: no such file" in result.stderr
    assert not store.exists() or not files_of(store)
    assert "2 rows skipped" in rustk(*arguments, "--skip-bad").stdout
    described = json.loads((store / "datasets/clinic/dataset.json").read_text())
    assert described["skipped"] == [
        {"row": 6, "reason": "label out of range"},
        {"row": 11, "reason": "image missing"},
    ]
    assert described["counts"]["develop"] + described["counts"]["test"] == 22


def test_build_replaces_another_dataset_only_when_told(clinic: Clinic, tmp_path: Path) -> None:
    arguments = [
        "dataset",
        "build",
        clinic.folder,
        "--labels",
        clinic.table,
        "--name",
        "clinic",
        "--store",
        tmp_path / "store",
        "--processes",
        "1",
        "--work-dir",
        tmp_path / "work",
    ]
    rustk(*arguments, "--size", "32")
    with pytest.raises(BadStudy, match="is another one"):
        rustk(*arguments, "--size", "40")
    rustk(*arguments, "--size", "40", "--replace")
    assert json.loads((tmp_path / "store/datasets/clinic/dataset.json").read_text())["image_shape"] == [40, 40, 1]
    assert list((tmp_path / "work").glob("*.png"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--name", "A Name"], "--name 'A Name'"),
        (["--preparation", "crop"], "--preparation 'crop': expected stretch or letterbox"),
        (["--size", "9"], "--size 9"),
        (["--mapping", "none.yaml"], "none.yaml: [Nn]o such file"),
        (["--salt-file", "none"], "none: [Nn]o such file"),
        (["--labels", "none.csv"], "none.csv: [Nn]o such file"),
        (["--key-file", "store/key.csv"], "lies in the store"),
        (["--salt-file", "store/salt"], "the salt store/salt: lies in the store .*, which must not hold it"),
        (["--work-dir", "store/work"], "--work-dir store/work: lies in the store"),
        (["--key-file", "labels.csv"], "is already there"),
        (["--key-file", "/proc/key.csv"], "--key-file /proc/key.csv: .*: expected a place for a file"),
        (["--test-fraction", "1"], "--test-fraction 1.0"),
        (["--processes", "0"], "--processes 0"),
        (["--seed", "-1"], "--seed -1"),
        (["--seed", str(10**40)], "--seed 1000"),
        (["--work-dir", "images/aside"], "--work-dir images/aside: lies in the folder of the images"),
        (["--work-dir", "labels.csv"], "--work-dir labels.csv: is a file: expected a folder"),
        (["--name", ""], "--name ''"),
        (["--labels", "."], "[Ii]s a directory: expected a table"),
        (["--mapping", "."], "[Ii]s a directory: expected a mapping"),
        (["--instrument", "rustt"], "there is no instrument 'rustt': did you mean rust"),
        (["--instrument", "rush"], "no column 'bridging_anterior'"),
    ],
)
def test_a_build_that_can_t_be_is_refused_with_nothing_written(
    arguments: list[str], said: str, clinic: Clinic, tmp_path: Path
) -> None:
    given = ["--labels", clinic.table, "--name", "clinic", "--store", "store", *arguments]
    with pytest.raises(BadStudy, match=said):
        rustk("dataset", "build", clinic.folder, *given)
    assert not (tmp_path / "store").exists() or not files_of(tmp_path / "store")


@pytest.mark.parametrize("option", [["--test-fraction", "1"], ["--seed", "-1"], ["--processes", "0"]])
def test_a_build_refused_for_its_options_leaves_no_salt_and_no_folder(
    option: list[str], clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    given = ["--labels", clinic.table, "--name", "clinic", "--store", "store", *option]
    with pytest.raises(BadStudy, match=option[0]):
        rustk("dataset", "build", clinic.folder, *given, "--work-dir", tmp_path / "work")
    assert not [name for name in ("config", "cache", "work") if (tmp_path / name).exists()]


def test_the_example_of_the_documentation_works(repository: Path, clinic: Clinic, tmp_path: Path) -> None:
    """The mapping and the table's first lines in docs/data.md, read as they stand there."""
    blocks = (repository / "docs/data.md").read_text(encoding="utf-8").split("```")
    table = next(block.removeprefix("csv\n") for block in blocks if block.startswith("csv\n"))
    mapping = next(block.removeprefix("yaml\n") for block in blocks if block.startswith("yaml\ncolumns:"))
    folder = tmp_path / "radiographs"
    for number, row in enumerate(csv.DictReader(io.StringIO(table), delimiter=";")):
        target = folder / row["File"]
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (50, 40), np.uint8)).save(target, "PNG")
    (tmp_path / "scores.csv").write_text(table)
    (tmp_path / "mapping.yaml").write_text(mapping)
    rustk(
        "dataset",
        "build",
        folder,
        "--labels",
        "scores.csv",
        "--mapping",
        "mapping.yaml",
        "--name",
        "tibia",
        "--store",
        tmp_path / "store",
        "--size",
        "32",
        "--processes",
        "1",
        "--test-fraction",
        "0.3",
    )
    index = pd.read_parquet(tmp_path / "store/datasets/tibia/index.parquet")
    assert len(index) == len(table.strip().splitlines()) - 1
    assert {"baseline", "3-months"} <= set(index["visit"])
    assert index["medial"].isna().any()


@pytest.mark.parametrize("instrument", [ODD, SINGLE])
def test_any_instrument_goes_from_files_to_a_verified_dataset(instrument: Instrument, tmp_path: Path) -> None:
    clinic, store = Clinic(tmp_path, 36, instrument), tmp_path / "store"
    own = tmp_path / "own.yaml"
    own.write_text(instrument.model_dump_json())
    build = ["dataset", "build", clinic.folder, "--labels", clinic.table, "--name", "own", "--instrument", own]
    built = rustk(*build, "--size", "32", "--processes", "1", "--store", store)
    assert f"scored by {instrument.name}, digest" in built.stdout
    assert "is whole" in rustk("dataset", "verify", "--store", store).stdout
    shown = rustk("dataset", "show", "--store", store).stdout
    assert f"instrument: {instrument.name}, {instrument.title}" in shown
    assert instrument.words.site in shown
    assert instrument.name in rustk("dataset", "list", "--store", store).stdout.replace("\n", "")
    opened = open_store(str(store))
    assert read_dataset(opened, "own").instrument == instrument
    for split in ("develop", "test"):
        assert read_split(opened, read_dataset(opened, "own"), split).labels.shape[1] == len(instrument.labels)


def test_a_phantom_of_any_instrument_says_what_it_is_for(tmp_path: Path) -> None:
    own, store = tmp_path / "own.yaml", tmp_path / "store"
    own.write_text(ODD.model_dump_json())
    small = ["--images", "24", "--size", "32", "--processes", "1", "--store", store]
    drawn = rustk("phantom", "--instrument", own, *small, "--name", "odd")
    assert "odd has no picture of its own: this phantom is for machinery only" in drawn.stdout
    assert "for machinery only" in rustk("dataset", "show", "odd", "--store", store).stdout
    assert "was already in" in rustk("phantom", "--instrument", own, *small, "--name", "odd").stdout
    knees = rustk("phantom", "--instrument", "kellgren-lawrence", *small, "--name", "knees")
    assert "machinery" not in knees.stdout
    with pytest.raises(BadStudy, match=r"another dataset 'knees' .*instrument 'kellgren-lawrence' where 'mrust' was"):
        rustk("phantom", *small, "--name", "knees")
    for name in ("odd", "knees"):
        assert "is whole" in rustk("dataset", "verify", name, "--store", store).stdout


@pytest.mark.parametrize("package", ["PIL", "google_crc32c", "google.protobuf", "imagehash"])
def test_a_package_that_is_missing_is_one_line(package: str, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.modules['{package}'] = None; sys.modules['tensorflow'] = None; "
        "from rustk.cli.app import main; sys.argv = ['rustk', 'phantom', '--images', '12', '--size', '32']; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "is not installed" in result.stderr
    assert "pip install 'rustk[images]'" in result.stderr
