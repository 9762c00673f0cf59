"""The docs as a site: built strictly, whole, and without anything from a network."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from rustk.cli.app import app

pytest.importorskip("mkdocs", reason="pip install 'rustk[docs]'")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning of MkDocs (a link to nowhere, a page outside the contents) is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_every_page_of_the_docs_is_there(site: Path, repository: Path) -> None:
    pages = {path.relative_to(repository / "docs").with_suffix("") for path in (repository / "docs").rglob("*.md")}
    built = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    assert pages | {Path("commands")} <= built


def test_nothing_comes_from_a_network(site: Path) -> None:
    loaded = re.compile(r"<(?:script|img|link|iframe)\b[^>]*?(?:src|href)=\"?(https?:)?//[^\s>]*")
    for page in site.rglob("*.html"):
        assert not loaded.search(page.read_text()), page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//|@import", style.read_text()), style


def test_the_page_of_commands_has_every_command_and_option(repository: Path) -> None:
    spec = importlib.util.spec_from_file_location("commands", repository / "docs/site/commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page: str = module.commands_page()
    sections = {section.partition("\n")[0]: section for section in re.split(r"^##+ ", page, flags=re.MULTILINE)[1:]}
    found = dict(_commands(typer.main.get_command(app), "rustk"))
    assert len(found) > 20
    assert set(sections) == set(found)
    for name, command in found.items():
        for parameter in command.params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert f"`{option}" in sections[name] or f", {option}" in sections[name], (name, option)


def _commands(command: object, name: str) -> Iterator[tuple[str, object]]:
    for inner_name, inner in getattr(command, "commands", {}).items():
        yield f"{name} {inner_name}", inner
        yield from _commands(inner, f"{name} {inner_name}")
