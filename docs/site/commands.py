"""The page of every command, made from the command line itself when the site is built (a hook of MkDocs)."""

import re
import subprocess
import sys
from typing import Any

PAGE = "commands.md"
_HEAD = "# Every command\n\nMade from the program; `rustk COMMAND --help` prints the same.\n\n"


def commands_page() -> str:
    """The page in Markdown, a section a command."""
    command = [sys.executable, "-m", "typer", "rustk.cli.app", "utils", "docs", "--name", "rustk"]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # Its own title makes room for ours, and arguments stand in capitals as in --help of old.
    body = made.partition("\n")[2].strip()
    body = re.sub(r"^## `(.*)`$", r"## \1", body, flags=re.MULTILINE)
    return _HEAD + re.sub(r"^### `(.*)`$", r"### \1", body, flags=re.MULTILINE) + "\n"


def on_files(files: Any, config: Any) -> Any:
    """Add the page to those of docs/."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGE, content=commands_page()))
    return files
