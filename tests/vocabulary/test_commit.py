import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rustk.vocabulary import commit


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("RUSTK_COMMIT", raising=False)
    commit.source_commit.cache_clear()
    yield
    commit.source_commit.cache_clear()


def test_an_image_says_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSTK_COMMIT", "ab" * 20)
    assert commit.with_commit({"rustk": "1"}) == {"rustk": "1", "commit": "ab" * 20}


def test_an_image_built_outside_a_checkout_says_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSTK_COMMIT", "unknown")
    assert commit.with_commit({"rustk": "1"}) == {"rustk": "1"}


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_a_checkout_says_its_head_and_whether_it_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        return subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    (tmp_path / "file").write_text("1")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    git("tag", "-a", "v1", "-m", "one")
    monkeypatch.setattr(commit, "_ROOT", tmp_path)
    head = git("rev-parse", "HEAD").strip()
    assert re.fullmatch("[0-9a-f]{40}", head)
    assert commit.source_commit() == head
    commit.source_commit.cache_clear()
    (tmp_path / "file").write_text("2")
    assert commit.source_commit() == f"{head}+changes"


def test_a_package_outside_a_checkout_says_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "_ROOT", tmp_path)
    assert commit.source_commit() is None
