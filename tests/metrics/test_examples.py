"""The examples in the docstrings are true."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["bootstrap", "calibration", "comparison", "decisions", "ordinal", "ranking", "sums"])
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"rustk.metrics.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
