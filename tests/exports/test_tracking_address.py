from pathlib import Path

import pytest

from rustk.exports.tracking_address import check_address, is_database
from rustk.vocabulary.errors import BadStudy

_EXPECTED = "expected the address of a server, as http://HOST:5000, or a database in a file, as sqlite:///mlflow.db"
_IN_MEMORY = "is a database in memory, which is gone when the export ends: expected a file, as sqlite:///mlflow.db"


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    (tmp_path / "store").mkdir()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", _EXPECTED),
        ("nope", _EXPECTED),
        ("./mlruns", _EXPECTED),
        ("file:///tmp/mlruns", _EXPECTED),
        ("http://", _EXPECTED),
        ("http://host:99999", _EXPECTED),
        ("http://a b", _EXPECTED),
        ("sqlite:", _IN_MEMORY),
        ("sqlite://", _IN_MEMORY),
        ("sqlite:///", _IN_MEMORY),
        ("sqlite:///:memory:", _IN_MEMORY),
        ("sqlite:///file:x?mode=memory&uri=true", _IN_MEMORY),
        ("sqlite:x.db", "did you mean sqlite:///x.db?"),
        ("sqlite://x.db", "did you mean sqlite:///x.db?"),
        ("sqlite:/x.db", "did you mean sqlite:////x.db?"),
        ("sqlite:////proc/x.db", "can't write into /proc: "),
        ("sqlite:///no/such/x.db", "/no/such: make it, or correct the address"),
        ("sqlite:///store", "lies in the store"),
        ("sqlite:///store/x.db", "lies in the store"),
        ("sqlite:///.", "is a folder: expected a file in it"),
    ],
)
def test_where_nothing_can_be_exported_to_is_told_at_once(uri: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadStudy) as caught:
        check_address(uri, str(tmp_path / "store"))
    assert str(caught.value).startswith("--tracking-uri ")
    assert message in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_what_mlflow_can_be_asked_about(tmp_path: Path) -> None:
    for uri in ("http://127.0.0.1:5000", "https://u:p@host/x", "sqlite:///x.db", f"sqlite:///{tmp_path}/x.db"):
        check_address(uri, "s3://store")
    for uri in ("postgresql://host/db", "mysql+pymysql://host/db", "databricks", "databricks://profile", "other://x"):
        check_address(uri, "s3://store")
    assert is_database("sqlite:///x.db")
    assert is_database("postgresql+psycopg2://host/db")
    assert not is_database("http://host")
    assert not is_database("databricks")


def test_a_folder_is_taken_where_mlflow_is_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    check_address("mlruns", "s3://store")
    check_address(f"file://{tmp_path}/mlruns", "s3://store")
    with pytest.raises(BadStudy, match=r"--tracking-uri store/mlruns: lies in the store"):
        check_address("store/mlruns", str(tmp_path / "store"))
    (tmp_path / "file").write_text("")
    with pytest.raises(BadStudy, match="file is a file: expected a folder"):
        check_address("file", "s3://store")
