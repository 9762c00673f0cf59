from pathlib import Path

import pytest

from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.settings import load_settings


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RUSTK_STORE", "RUSTK_DATASET", "RUSTK_BACKEND"):
        monkeypatch.delenv(name, raising=False)


def test_flags_before_environment_before_file_before_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().store == "rustk-store"
    Path("rustk.toml").write_text('store = "from-file"\n[local]\nworkers = 3\n')
    assert load_settings().store == "from-file"
    assert load_settings().local.workers == 3
    monkeypatch.setenv("RUSTK_STORE", "from-environment")
    assert load_settings().store == "from-environment"
    assert load_settings({"store": "from-flag"}).store == "from-flag"
    assert load_settings({"store": None}).store == "from-environment"


def test_the_environment_reaches_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSTK_LOCAL__WORKERS", "5")
    assert load_settings().local.workers == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stor = 'x'", r"rustk\.toml.*no setting 'stor'; did you mean store\?"),
        ("backend = 'slurm'", r"rustk\.toml.*backend = 'slurm': input should be 'local' or 'kubernetes'"),
        ("store = ", r"rustk\.toml is not TOML"),
        ("[local]\nworkers = 0", r"local\.workers = 0: input should be greater than or equal to 1"),
    ],
)
def test_nonsense_in_the_file_is_one_line(text: str, message: str) -> None:
    Path("rustk.toml").write_text(text)
    with pytest.raises(BadStudy, match=message) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_a_wrong_flag_is_named() -> None:
    with pytest.raises(BadStudy, match=r"flag --backend: backend = 'x'"):
        load_settings({"backend": "x"})
