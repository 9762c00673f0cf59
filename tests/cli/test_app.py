"""The command line as a whole: what it costs to start, and how it fails."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from rustk.cli.app import app

HEAVY = (
    "boto3",
    "keras",
    "kubernetes",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "pydicom",
    "sklearn",
    "tensorflow",
)


def rustk(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it, in a process of its own."""
    import os

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


def test_an_error_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    result = rustk("submit", "regime3", cwd=tmp_path)
    assert result.returncode == 78
    assert result.stdout == ""
    assert result.stderr == ("rustk: there is no study 'regime3'; did you mean regime2? or the path of a .yaml file\n")
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


def test_settings_come_from_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "rustk.toml").write_text("backend = 'slurm'\n")
    result = rustk("submit", "regime2", cwd=tmp_path)
    assert result.returncode == 78
    assert "rustk.toml" in result.stderr
    assert "'local' or 'kubernetes'" in result.stderr


@pytest.mark.tensorflow
def test_tensorflows_chatter_does_not_bury_the_reason(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no weights")
    result = rustk("weights", "add", "mine", "notes.txt", cwd=tmp_path)
    assert result.returncode == 65
    assert result.stderr == "rustk: notes.txt: expected a file of weights that ends in .h5 or .keras\n"
