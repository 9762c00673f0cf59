"""`rustk instruments`: what ships, and one of them whole."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rustk.cli.app import app
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.instrument import Instrument, instrument_names
from tests.instruments import MRUST, ODD


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["instruments", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_every_shipped_instrument_is_listed() -> None:
    printed = run()
    for name in instrument_names():
        assert f"{name}  " in printed
    assert "views ap, lateral; 4 cortices, scores 1 to 4" in printed
    assert "mRUST total: 4 to 16" in printed
    assert all(len(line) <= 80 for line in printed.splitlines())
    listed = [Instrument.model_validate_json(json.dumps(one)) for one in json.loads(run("--json"))]
    assert tuple(one.name for one in listed) == instrument_names()
    assert MRUST in listed


def test_one_is_shown_whole(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(ODD.model_dump_json())
    printed = run(str(own))
    for said in ("places:", "1, 2, 3 or 5", "views: a, b", "from the total = 4 on: sound", "odd total: 1 to 8"):
        assert said in printed
    assert all(label in printed for label in ODD.labels)
    assert Instrument.model_validate_json(run(str(own), "--json")) == ODD


def test_what_is_no_instrument_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadStudy, match="did you mean mrust"):
        run("mrus")
    (tmp_path / "bad.yaml").write_text("name: x\ntitle: y\nviews: [a]\nsites: [{name: s, scores: [2, 1]}]\n")
    with pytest.raises(BadStudy, match=r"sites.0.scores = .*ascending"):
        run(str(tmp_path / "bad.yaml"))
