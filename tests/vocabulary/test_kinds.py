from collections.abc import Iterator
from pathlib import Path

import pytest

import rustk
from rustk.vocabulary import kinds as module
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.kinds import check_kind, kinds, load_kind


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A room `toys_of_the_tests` of the package, empty but for what rooms have in common."""
    folder = tmp_path / "toys_of_the_tests"
    folder.mkdir()
    for name in ("__init__.py", "base.py", "_inner.py", "notes.txt"):
        (folder / name).write_text("")
    monkeypatch.setattr(module, "_PACKAGE", tmp_path)
    monkeypatch.setattr(rustk, "__path__", [*rustk.__path__, str(tmp_path)])
    kinds.cache_clear()
    yield folder
    kinds.cache_clear()


def test_a_new_file_is_a_new_kind(room: Path) -> None:
    assert kinds("toys_of_the_tests") == ()
    (room / "ball.py").write_text("COLOUR = 'red'\n")
    (room / "train").mkdir()
    (room / "train" / "__init__.py").write_text("WHEELS = 4\n")
    (room / "no_kind").mkdir()
    kinds.cache_clear()
    assert kinds("toys_of_the_tests") == ("ball", "train")
    assert load_kind("toys_of_the_tests", "ball", "toy").COLOUR == "red"
    assert load_kind("toys_of_the_tests", "train", "toy").WHEELS == 4


@pytest.mark.parametrize("name", ["bal", "base", "_inner", "__init__", "", "../x", "a.b", "notes"])
def test_anything_else_is_refused_with_the_field_that_chose_it(room: Path, name: str) -> None:
    (room / "ball.py").write_text("")
    with pytest.raises(BadStudy, match=r"toy\.kind = '.*': (did you mean ball\?|expected ball)"):
        load_kind("toys_of_the_tests", name, "toy.kind")


def test_the_rooms_have_their_kinds() -> None:
    assert {"grid", "random"} <= set(kinds("planning/search"))
    assert {"local", "kubernetes"} <= set(kinds("backends"))
    assert {"inception_v3", "lenet"} <= set(kinds("training/backbones"))
    assert "onehot" in kinds("training/objectives")
    check_kind("planning/search", "grid", "search.kind")
