"""The address that runs are exported to in MLflow, looked at before MLflow is asked: it tries for minutes, or explains
itself at length."""

import os
import re
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from rustk.store.outside import check_outside
from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadStudy

OPTION = "--tracking-uri"
EXPECTED = "expected the address of a server, as http://HOST:5000, or a database in a file, as sqlite:///mlflow.db"

# What MLflow knows without a scheme.
_WORDS = ("databricks", "databricks-uc", "uc")
_SCHEME = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9.-]*)(\+[A-Za-z0-9]+)?:")
# Opened by MLflow's client itself.
_DATABASES = ("postgresql", "mysql", "mssql", "sqlite")


def check_address(uri: str, store_url: str) -> None:
    """Raise BadStudy for an address that nothing can be exported to; no server is asked.

    It may be of no kind, of no host, of a database in memory, in the store, or in a place that can't be written to.
    """
    scheme = _SCHEME.match(uri)
    if scheme is None and uri not in _WORDS:
        _check_plain(uri, store_url)
    elif scheme is not None and scheme["name"] == "sqlite":
        _check_sqlite(uri, uri[scheme.end() :], store_url)
    elif scheme is not None and scheme["name"] == "file":
        _check_plain(urlsplit(uri).path, store_url, uri)
    elif scheme is not None and scheme["name"] in ("http", "https"):
        _check_server(uri)


def is_database(uri: str) -> bool:
    """Whether MLflow's client would open a database, rather than ask a server of MLflow's."""
    scheme = _SCHEME.match(uri)
    return scheme is not None and scheme["name"] in _DATABASES


def _check_plain(path: str, store_url: str, uri: str | None = None) -> None:
    """Of a folder, which MLflow writes to only where its own variable allows that."""
    uri = path if uri is None else uri
    if not path.strip() or os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
        raise BadStudy(f"{OPTION} {clip(uri)}: {EXPECTED}")
    folder = Path(path)
    check_outside(folder, store_url, OPTION)
    if os.path.lexists(folder) and not folder.is_dir():
        raise BadStudy(f"{OPTION} {clip(uri)}: {folder} is a file: expected a folder, or a place for one")
    _check_writable(folder if folder.is_dir() else folder.absolute().parent, uri)


def _check_sqlite(uri: str, rest: str, store_url: str) -> None:
    """Of sqlite:///FILE: rest is what follows the colon."""
    path, _, options = rest.removeprefix("///").partition("?")
    if not rest.startswith("///") and path.strip("/"):
        # Of a path that begins with a slash there are four.
        meant = f"sqlite:///{path.removeprefix('//')}"
        raise BadStudy(f"{OPTION} {clip(uri)}: did you mean {meant}? There are three slashes before the file")
    if not path.strip("/") or ":memory:" in path or "mode=memory" in options:
        raise BadStudy(
            f"{OPTION} {clip(uri)}: is a database in memory, which is gone when the export ends: expected a file, as "
            "sqlite:///mlflow.db"
        )
    if path.startswith("file:"):  # SQLite's own addresses, with options of their own
        return
    file = Path(path)
    check_outside(file, store_url, OPTION)
    if file.is_dir():
        raise BadStudy(
            f"{OPTION} {clip(uri)}: {file} is a folder: expected a file in it, as sqlite:///{file}/mlflow.db"
        )
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        raise BadStudy(f"{OPTION} {clip(uri)}: can't write to {file}: allow it, or choose another file")
    _check_writable(file.absolute().parent, uri)


def _check_writable(folder: Path, uri: str) -> None:
    if not folder.is_dir():
        raise BadStudy(f"{OPTION} {clip(uri)}: there is no folder {folder}: make it, or correct the address")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = error.strerror or str(error)
        raise BadStudy(f"{OPTION} {clip(uri)}: can't write into {folder}: {why}: choose another folder") from None


def _check_server(uri: str) -> None:
    try:
        parts = urlsplit(uri)
        fine = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or over 65535
        fine = False
    if not fine or re.search(r"\s", uri):
        raise BadStudy(f"{OPTION} {clip(uri)}: {EXPECTED}")
