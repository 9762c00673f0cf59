from pathlib import Path

import pytest

from rustk.store import Store

from .conftest import Rustk


def test_the_doctor_on_this_machine(store: Store, rustk: Rustk, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    result = rustk("doctor")
    assert f"ok    store        {store.url}: reachable and writable, and empty\n" in result.output
    assert "ok    workers " in result.output
    assert "fail  dataset" in result.output
    assert "rustk phantom" in result.output
    assert str(result.exception) == "1 check failed"
    assert store.list("") == []


def test_the_doctor_makes_no_store(rustk: Rustk, tmp_path: Path) -> None:
    result = rustk("doctor", "--store", str(tmp_path / "stroe" / "below"))
    assert f"note  store        {tmp_path}/stroe/below: is not there yet; it can be made" in result.output
    assert "fail  dataset" in result.output
    assert not (tmp_path / "stroe").exists()
    (tmp_path / "file").write_text("")
    result = rustk("doctor", "--store", str(tmp_path / "file" / "store"))
    assert not (tmp_path / "stroe").exists()


def test_a_dataset_that_is_not_there_is_named_with_the_variable_it_comes_from(
    rustk: Rustk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rustk("phantom", "--images", "20", "--size", "32", "--processes", "1")
    monkeypatch.setenv("RUSTK_DATASET", "fantom")
    assert "fail  dataset      RUSTK_DATASET: the store" in rustk("doctor").output
    monkeypatch.delenv("RUSTK_DATASET")
    Path("rustk.toml").write_text('dataset = "fantom"\n')
    assert "fail  dataset      rustk.toml: the store" in rustk("doctor").output
    assert "fail  dataset      the store" in rustk("doctor", "--dataset", "fantoms").output
    assert str(rustk("plan", "lenet").exception).startswith("rustk.toml: the store")


def test_the_doctor_without_a_cluster(
    store: Store, rustk: Rustk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    result = rustk("doctor", "--backend", "kubernetes")
    assert "fail  image" in result.output
    assert "fail  kubeconfig   could not use the cluster's configuration: there is no" in result.output
    assert "note  store " in result.output


def test_a_shard_that_was_cut_is_found(rustk: Rustk, tmp_path: Path) -> None:
    rustk("phantom", "--images", "20", "--size", "32", "--processes", "1")
    shard = next((tmp_path / "store" / "datasets" / "phantom").glob("develop*.tfrecord"))
    shard.write_bytes(shard.read_bytes()[:-7])
    result = rustk("doctor")
    assert result.exit_code == 1
    assert f"{shard.name} has {shard.stat().st_size:,} bytes: expected" in " ".join(result.output.split())
