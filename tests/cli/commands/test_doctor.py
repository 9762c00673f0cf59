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


def test_a_shard_that_was_cut_is_found(rustk: Rustk, tmp_path: Path) -> None:
    rustk("phantom", "--images", "20", "--size", "32", "--processes", "1")
    shard = next((tmp_path / "store" / "datasets" / "phantom").glob("develop*.tfrecord"))
    shard.write_bytes(shard.read_bytes()[:-7])
    result = rustk("doctor")
    assert result.exit_code == 1
    assert f"{shard.name} has {shard.stat().st_size:,} bytes: expected" in " ".join(result.output.split())
