"""The command line on a folder of one's own: in this process, and in processes that can be killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from rustk.cli.app import app
from rustk.store import open_store

ROOT = Path(__file__).parents[2]
# A small one of the user's own, where studies of the tests find it.
BACKBONE = "small_networks:small_backbone"


class Laptop:
    """A folder with a store and a study, and the command, which imports that backbone wherever it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = open_store(str(folder / "store"))
        self.environment = {
            "COLUMNS": "160",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "training")]),
            "RUSTK_STORE": str(folder / "store"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
        }

    def write_yaml(self, name: str, content: object) -> None:
        (self.folder / name).write_text(yaml.safe_dump(content, sort_keys=False))

    def run(self, *arguments: str, catch_exceptions: bool = True) -> Result:
        """The command in this process, its workers in their own."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            return CliRunner().invoke(app, arguments, catch_exceptions=catch_exceptions)

    def __call__(self, *arguments: str) -> str:
        """What the command prints, where it ends well."""
        result = self.run(*arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The command as a process, as a user starts it."""
        return subprocess.Popen(
            [sys.executable, "-m", "rustk", *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    return Laptop(tmp_path_factory.mktemp("laptop"))
