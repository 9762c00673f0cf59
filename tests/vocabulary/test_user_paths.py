"""Paths of users: whatever stands in them, they are looked up or refused in one line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.user_paths import make_folder, resolve_given, user_path, what_is_there


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("x" * 300, "ile name too long"),
        (f"{'x' * 300}/below", "ile name too long"),
        ("/".join(["x" * 200] * 30), "ile name too long"),
        ("circle", "a link that leads back to itself"),
        ("circle/below", "a link that leads back to itself"),
        ("a\0b", "null"),
    ],
)
def test_what_no_file_system_can_look_up_is_refused(path: str, said: str, here: Path) -> None:
    for refuse in (resolve_given, make_folder):
        with pytest.raises(BadStudy, match=f"^--option .*{said}.*: choose another place$") as caught:
            refuse(Path(path), "--option")
        assert len(str(caught.value)) < 300
    assert sorted(one.name for one in here.iterdir()) == ["circle", "file", "folder", "gone", "link"]


def test_a_path_that_means_a_place_is_resolved(here: Path) -> None:
    for path in ("new/below", "link/below", "file/below", "gone", "folder"):
        assert resolve_given(Path(path), "--option") == (here / path).resolve()


@given(text=st.text(max_size=300))
def test_a_path_that_was_taken_can_be_asked_what_is_there(text: str) -> None:
    try:
        resolve_given(Path(text), "--option")
    except BadStudy:
        return
    what_is_there(Path(text))


def test_what_is_there_is_said_where_no_folder_can_be(here: Path) -> None:
    make_folder(Path("link/new/below"), "--option")
    assert (here / "folder/new/below").is_dir()
    make_folder(Path("link"), "--option")
    for path, said in (
        ("file", "is a file"),
        ("gone", "is a link that leads nowhere"),
        ("/dev/null", "is a device, a pipe or a socket"),
        ("file/below", "[Nn]ot a directory"),
    ):
        with pytest.raises(BadStudy, match=f"^--option {path}: {said}: expected a folder, or a place for one$"):
            make_folder(Path(path), "--option")


def test_homes_are_expanded() -> None:
    assert user_path("~/x", "a file") == Path.home() / "x"
    with pytest.raises(BadStudy, match=r"'~nobody-of-this-name/x': .*: expected a file"):
        user_path("~nobody-of-this-name/x", "a file")
