"""The fields in words, and the table of docs/studies.md that is made of them."""

import os
from pathlib import Path

from rustk.planning.fields import describe_fields
from rustk.planning.study import Folds, Model, Study, Training

START, END = "<!-- fields -->\n", "<!-- end of fields -->"


# The docs describe these; a kind that somebody adds changes no docs.
KINDS_OF_SEARCH = ("grid", "random", "sobol", "tpe")
RULES_OF_RACES = ("bootstrap", "halving")
LISTED = "`rustk studies --fields` lists them"


def table() -> str:
    fields = [
        f
        for f in describe_fields()
        if "(" not in f.path or f.path.endswith(tuple(f"({k})" for k in (*KINDS_OF_SEARCH, *RULES_OF_RACES)))
    ]
    kinds = {"model.architecture": f"a backbone of rustk's ({LISTED}), or package.module:function"}
    kinds |= {"model.objective": LISTED, "search.kind": LISTED}
    rows = [f"| `{f.path}` | {kinds.get(f.path, f.expected)} | {f.default} | {f.meaning} |" for f in fields]
    return "\n".join(["| field | what it may be | default | what it is |", "| --- | --- | --- | --- |", *rows, ""])


def test_every_field_of_the_schema_is_described() -> None:
    described = {field.path for field in describe_fields()}
    for prefix, model in (("model.", Model), ("training.", Training), ("folds.", Folds)):
        assert {f"{prefix}{name}" for name in model.model_fields} <= described
    sections = {"model", "training", "folds", "search"}
    assert set(Study.model_fields) - sections <= described


def test_the_words_say_types_choices_and_bounds() -> None:
    found = {field.path: field for field in describe_fields()}
    assert found["folds.k"].expected == "whole number, at least 2 and at most 1,000"
    assert found["folds.scheme"].expected == "patient or shard"
    assert found["training.learning_rate"].expected.startswith("number, at least 1e-37")
    assert found["name"].default == "required"
    assert "onehot" in found["model.objective"].expected


def test_the_table_of_the_docs_is_made_from_the_schema(repository: Path) -> None:
    """RUSTK_REGENERATE=1 writes it anew."""
    page = repository / "docs" / "studies.md"
    text = page.read_text()
    before, rest = text.split(START)
    _, after = rest.split(END)
    expected = f"{before}{START}{table()}{END}{after}"
    if os.environ.get("RUSTK_REGENERATE"):
        page.write_text(expected)
    assert page.read_text() == expected
