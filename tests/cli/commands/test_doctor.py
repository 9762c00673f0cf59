from pathlib import Path

import pytest

from rustk.store import Store

from .conftest import Rustk


def test_the_doctor_on_this_machine(store: Store, rustk: Rustk) -> None:
    result = rustk("doctor")
    assert "ok    store " in result.output
    assert "ok    workers " in result.output
    assert "fail  dataset" in result.output
    assert "rustk phantom" in result.output
    assert str(result.exception) == "1 check failed"
    assert store.list("") == []


def test_the_doctor_without_a_cluster(
    store: Store, rustk: Rustk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    result = rustk("doctor", "--backend", "kubernetes")
    assert "fail  image" in result.output
    assert "fail  kubeconfig   could not use the cluster's configuration: there is no" in result.output
    assert "ok    store " in result.output
