"""The examples of docs/store.md are run, and its tables are held against what the files have."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import rustk
from rustk.report.data.aggregate import aggregate
from rustk.report.data.results import load_run
from rustk.store import open_store
from rustk.vocabulary import schemas
from rustk.vocabulary.instrument import load_instrument
from tests.report.planted import CLEAN, plant

PLANTED = replace(CLEAN, run="regime2-1a2b3c4d", study="regime2")


@pytest.fixture
def page(repository: Path) -> str:
    return (repository / "docs/store.md").read_text(encoding="utf-8")


def test_every_example_runs_and_both_ways_agree(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for key, data in plant(PLANTED).objects.items():
        path = tmp_path / "rustk-store" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    blocks = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    found: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/store.md", "exec"), found)
    averaged = aggregate(load_run(open_store("rustk-store"), PLANTED.run))
    merit, best, folds = found["merit"], found["best"], found["folds"]
    assert isinstance(merit, pd.Series)
    assert isinstance(best, pd.DataFrame)
    assert isinstance(folds, pd.DataFrame)
    assert merit.to_dict() == pytest.approx(averaged.trials.set_index("trial")["val_auroc"].to_dict(), abs=1e-15)
    assert best["trial"].tolist() == averaged.trials["trial"].tolist()
    assert best["merit"].tolist() == pytest.approx(averaged.trials["val_auroc"].tolist(), abs=1e-12)
    assert sorted(folds["fold"].unique()) == [0, 1, 2, 3]
    assert found["steps"] == averaged.results.fold_metadata[0, 0].in_effect["steps_per_epoch"]
    table = rustk.open_run("published", "rustk-store").table
    assert table["val_auroc"].tolist() == [0.7]


@pytest.mark.parametrize(
    ("heading", "schema"),
    [
        ("### folds.parquet", schemas.FOLDS),
        ("### histories/", schemas.HISTORY),
        ("### predictions/", schemas.predictions_schema(load_instrument())),
        ("### index.parquet", schemas.index_schema(load_instrument())),
    ],
)
def test_every_column_is_described_with_its_type(page: str, heading: str, schema: object) -> None:
    section = page[page.index(heading) :].split("\n##")[0]
    described: dict[str, str] = {}
    for line in section.splitlines():
        if line.startswith("| `"):
            names, kind = (cell.strip() for cell in line.split("|")[1:3])
            described |= dict.fromkeys(re.findall(r"`(\w+)`", names), kind)
    # What an instrument names is described as such: a column for each of its sites or labels.
    instrument = load_instrument()
    for field in schema:  # type: ignore[attr-defined]
        if field.name in (*instrument.labels, *instrument.site_names):
            continue
        kind = {"double": "float64", "float": "float32"}.get(str(field.type), str(field.type))
        assert field.name in described, f"{field.name} is not described"
        assert described[field.name].startswith(kind), field.name
        assert ("null" in described[field.name]) == field.nullable, field.name
