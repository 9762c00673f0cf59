"""The command line as a whole: what it costs to start, and how it fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import rustk as package
from rustk.cli.app import app, main
from rustk.cli.context import settings, store_from
from rustk.vocabulary.errors import BadStudy, RustkError

HEAVY = (
    "boto3",
    "keras",
    "kubernetes",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "pydicom",
    "scipy",
    "sklearn",
    "tensorflow",
    "yaml",
)


def rustk(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "rustk", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['rustk', '--help']\n"
        "from rustk.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "Commands" in printed
    assert printed.strip().endswith("[]"), printed[-300:]


def _commands(group: typer.Typer, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    command = typer.main.get_command(group)
    found: list[tuple[str, ...]] = []

    def walk(at: object, path: tuple[str, ...]) -> None:
        for name, inner in getattr(at, "commands", {}).items():
            found.append((*path, name))
            walk(inner, (*path, name))

    walk(command, path)
    return found


@pytest.mark.parametrize("path", _commands(app), ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_the_commands_of_the_readme_are_there() -> None:
    names = {path[0] for path in _commands(app)}
    assert {"studies", "plan", "submit", "aggregate", "dataset", "phantom", "weights", "version"} <= names


@pytest.mark.parametrize("path", [(), ("plan",), ("dataset", "build")], ids=" ".join)
def test_h_is_help(path: tuple[str, ...]) -> None:
    short, long = (CliRunner().invoke(app, [*path, flag]) for flag in ("-h", "--help"))
    assert (short.exit_code, short.output) == (0, long.output)


def test_version_is_one_line() -> None:
    assert CliRunner().invoke(app, ["--version"]).output == f"rustk {package.__version__}\n"


def ended(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """The exit code of a whole command line, in this process."""
    monkeypatch.setattr(sys, "argv", ["rustk", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["sbmit"], "No such command 'sbmit'. Did you mean 'submit'? `rustk --help` lists what it takes"),
        (["dataset", "bild"], "No such command 'bild'. Did you mean 'build'? `rustk dataset --help` lists what it"),
        (["dataset", "build", "x", "--seed"], "the value after --seed is missing: `rustk dataset build --help` lists"),
        (["plan"], "Missing argument 'study': `rustk plan --help` lists what it takes"),
        (["plan", "--wrkers", "3"], "No such option: --wrkers: `rustk plan --help` lists what it takes"),
        (["final", "x", "--trial", "ten"], "Invalid value for '--trial': expected a whole number, not 'ten': "),
        (["phantom", "--images", "20", "--images", "ten"], "'--images': expected a whole number, not 'ten': "),
        (["aggregate", "x", "-o", ""], "the value after -o is empty: expected a run, name, number, path"),
        (["aggregate", "x", "--output="], "the value after --output is empty: "),
        (["export", "tensorboard", "x", ""], "the value after x is empty: "),
        (["logs", "x", "--fold", "-1"], "Invalid value for '--fold': expected at least 0, not '-1': "),
        (["phantom", "--fault", "x"], "expected one of 'split-patients', 'view-shortcut', not 'x': "),
        (["submit", "x", "--workers=0"], ", not '0': `rustk submit --help` lists what it takes"),
        (["submit", "x", "--workers", "\x1b[31m"], "`rustk submit --help` lists what it takes"),
        (["status", "a", "b"], "`rustk status --help` lists what it takes"),
    ],
)
def test_a_command_line_that_can_t_be_understood_is_one_line(
    arguments: list[str], line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(arguments, monkeypatch) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("rustk: ")
    assert line in said.err
    assert said.err.count("\n") == 1
    assert said.err[:-1].isprintable()


def test_without_arguments_the_help_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended([], monkeypatch) == 2
    assert "Commands" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (RustkError("a\nb", exit_code=65), 65, "rustk: a b\n"),
        (KeyboardInterrupt(), 130, "rustk: stopped\n"),
    ],
)
def test_how_a_command_ends_is_its_exit_code(
    error: BaseException,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("rustk.cli.context.study_names", fail)
    assert ended(["studies"], monkeypatch) == code
    assert capsys.readouterr().err == line


def test_an_error_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    result = rustk("submit", "regime3", cwd=tmp_path)
    assert result.returncode == 78
    assert result.stdout == ""
    assert result.stderr == "rustk: there is no study 'regime3': did you mean regime2? (or the path of a .yaml file)\n"
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_data_says_how_to_make_some(tmp_path: Path) -> None:
    result = rustk("submit", "regime2", "--store", str(tmp_path / "empty"), cwd=tmp_path)
    assert result.returncode == 78
    assert "has no dataset: make one with `rustk dataset build` or `rustk phantom`" in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_version_and_studies_speak_json(tmp_path: Path) -> None:
    versions = json.loads(rustk("version", "--json", cwd=tmp_path).stdout)
    assert versions["rustk"] == "0.1.0"
    studies = json.loads(rustk("studies", "--json", cwd=tmp_path).stdout)
    assert {study["study"]: study["trials"] for study in studies}["regime1"] == 110


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("command", [["studies"], ["studies", "--json"], ["--help"]])
def test_output_that_can_t_be_written_is_one_line(command: list[str], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "rustk", *command],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 74
    assert done.stderr.startswith("rustk: could not write the output: ")
    assert done.stderr.count("\n") == 1


def test_settings_come_from_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "rustk.toml").write_text("backend = 'slurm'\n")
    result = rustk("submit", "regime2", cwd=tmp_path)
    assert result.returncode == 78
    assert result.stderr == "rustk: rustk.toml: backend = 'slurm': expected one of kubernetes, local\n"


@pytest.mark.tensorflow
def test_tensorflows_chatter_does_not_bury_the_reason(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no weights")
    result = rustk("weights", "add", "mine", "notes.txt", cwd=tmp_path)
    assert result.returncode == 65
    assert result.stderr == "rustk: notes.txt: expected a file of weights, .h5 or .keras\n"


def test_an_output_that_is_closed_is_said(tmp_path: Path) -> None:
    command = f'exec "{sys.executable}" -m rustk studies >&-'
    done = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 74
    assert done.stderr == "rustk: could not write the output: it is closed: send it somewhere\n"


def test_a_store_s_address_is_traced_to_what_gave_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rustk.toml").write_text('store = "file:///x"')
    with pytest.raises(BadStudy, match=r"^rustk\.toml: store 'file:///x' is of an unknown kind"):
        store_from(settings())
    monkeypatch.setenv("RUSTK_STORE", "ftp://x")
    with pytest.raises(BadStudy, match=r"^RUSTK_STORE: store 'ftp://x'"):
        store_from(settings())
    with pytest.raises(BadStudy, match=r"^store 'ftp://y'"):
        store_from(settings(store="ftp://y"))
    monkeypatch.setenv("RUSTK_STORE", "s3://bucket/x")
    monkeypatch.setenv("RUSTK_S3_ENDPOINT_URL", "garbage")
    with pytest.raises(BadStudy, match=r"^RUSTK_S3_ENDPOINT_URL: s3_endpoint_url = 'garbage': expected http://HOST"):
        store_from(settings())
    monkeypatch.setenv("RUSTK_S3_ENDPOINT_URL", "http://a..b")
    with pytest.raises(BadStudy, match=r"^RUSTK_S3_ENDPOINT_URL: could not open the store s3://bucket/x: Invalid"):
        store_from(settings())


def test_a_working_directory_that_is_gone_is_said(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    command = f'cd gone && rmdir ../gone && exec "{sys.executable}" -m rustk status'
    done = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (78, "rustk: the working directory is gone: change to one that is there\n")
