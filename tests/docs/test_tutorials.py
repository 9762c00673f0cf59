"""The tutorials, followed to the letter: their files are written, and their commands run, in the order of the page.

It trains, so that it takes a minute or two: RUSTK_TEST_TUTORIALS=1 (.ci/run has it) runs it.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

wanted = pytest.mark.skipif(not os.environ.get("RUSTK_TEST_TUTORIALS"), reason="set RUSTK_TEST_TUTORIALS=1")

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w-]+\.(?:py|yaml|toml))\n")


def follow(page: Path, folder: Path) -> list[str]:
    """Write the files that a page shows, run its Python and its `$ ` lines below `folder`; what each line printed."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RUSTK_")},
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    printed = []
    for kind, text in _BLOCK.findall(page.read_text()):
        named = _FILE.match(text)
        if named is not None:
            (folder / named[1]).write_text(text)
            continue
        lines = [[sys.executable, "-c", text]] if kind == "python" else []
        if kind == "console":
            lines = [shlex.split(line.removeprefix("$ ")) for line in text.splitlines() if line.startswith("$ ")]
        for line in lines:
            done = subprocess.run(
                line, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
            )
            assert done.returncode == 0, f"{page.name}: {line}: {done.stdout}{done.stderr}"
            printed.append(done.stdout)
    return printed


@wanted
@pytest.mark.timeout(1200)
def test_a_researcher_and_then_a_reviewer(repository: Path, tmp_path: Path) -> None:
    told = follow(repository / "docs/tutorials/researcher.md", tmp_path)
    assert (tmp_path / "report/index.html").exists()
    assert any("## References" in text for text in told)
    reviewed = follow(repository / "docs/tutorials/reviewer.md", tmp_path)
    assert (tmp_path / "again/references.bib").exists()
    assert (tmp_path / "again/tables/metrics.csv").read_bytes() == (tmp_path / "report/tables/metrics.csv").read_bytes()
    assert "trial 0 fold 1: equal bit for bit in 5 epochs and in every prediction" in reviewed[-1]


@wanted
def test_an_engineer_before_the_cluster(repository: Path, tmp_path: Path, bucket: None) -> None:
    """What needs no cluster: the settings, the data, and the Jobs that would be made."""
    _, said, rendered = follow(repository / "docs/tutorials/engineer.md", tmp_path)
    assert "192 Jobs would be created in namespace rustk" in said
    assert rendered.count("kind: Job\n") == 192


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tutorial's bucket, on a server that the environment names."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
    boto3.client("s3").create_bucket(Bucket="my-bucket")
    yield
    server.stop()


def test_the_tutorials_have_something_to_follow(repository: Path) -> None:
    pages = sorted((repository / "docs/tutorials").glob("*.md"))
    assert [page.stem for page in pages] == ["engineer", "researcher", "reviewer"]
    for page in pages:
        assert re.search(r"^\$ rustk ", page.read_text(), re.MULTILINE), page.name
