"""The feature cache: filled together, shared, and never trusted further than its checksums."""

import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_networks import HEIGHT, WIDTH, small_backbone

from rustk.cli.context import load_study
from rustk.datasets.reading import read_split, shards_of
from rustk.planning.cost import BackboneCost, estimate_cost
from rustk.planning.study import Model
from rustk.store import Store, open_store
from rustk.store.datasets import read_dataset
from rustk.store.documents import Shard
from rustk.training import features, models
from rustk.training.features import FeatureCache, backbone_digest, start_of
from rustk.training.own_backbone import OwnBackbone
from rustk.training.sources import FLIPS, to_inputs
from rustk.vocabulary.errors import BadData
from tests.training.small_runs import DATASET, DEVELOP, make_dataset

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def extractor() -> Any:
    return models.build_extractor(small_backbone((HEIGHT, WIDTH, 3), seed=5), "max")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(str(tmp_path / "store"))
    make_dataset(store)
    return store


def cache_of(store: Store, extractor: Any, built: list[int] | None = None) -> FeatureCache:
    def build() -> Any:
        if built is not None:
            built.append(1)
        return extractor

    return FeatureCache(store, read_dataset(store, DATASET), "d" * 64, build)


def shards(store: Store) -> list[Shard]:
    return shards_of(read_dataset(store, DATASET), "develop")


def test_features_are_those_of_the_backbone_on_flipped_images(store: Store, extractor: Any) -> None:
    found = cache_of(store, extractor).load(shards(store))
    images = read_split(store, read_dataset(store, DATASET), "develop").images
    assert found.shape[:2] == (DEVELOP, 4)
    for number, flipped in enumerate([images, images[:, :, ::-1], images[:, ::-1], images[:, ::-1, ::-1]]):
        expected = extractor(to_inputs(flipped), training=False).numpy()
        # One batch of all against batches of a fixed size: features don't depend on the batch.
        np.testing.assert_allclose(found[:, number], expected, rtol=1e-5, atol=1e-6)
    assert not np.allclose(found[:, 0], found[:, 1])


def test_the_cost_counts_the_flips_that_are_cached() -> None:
    """Planning, which needs no TensorFlow, can't look into this room."""
    study = load_study("inception-imagenet")
    cost = estimate_cost(study, trials=1, images=7, outputs=1, backbone=BackboneCost(1.0, 1))
    assert cost.feature_forwards == 7 * len(FLIPS)


def test_what_is_there_is_read_and_not_computed(store: Store, extractor: Any) -> None:
    seen: list[tuple[int, int]] = []
    first = cache_of(store, extractor).load(shards(store), progress=lambda *done: seen.append(done))
    assert seen[0] == (0, 3)
    assert seen[-1] == (3, 3)
    before = store.list("features/")
    assert len(before) == 3
    built: list[int] = []
    again = cache_of(store, extractor, built).load(shards(store))
    np.testing.assert_array_equal(first, again)
    assert built == []
    assert store.list("features/") == before


def test_a_worker_takes_what_others_computed_meanwhile(
    store: Store, extractor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = cache_of(store, extractor).load(shards(store))
    theirs = {entry.key: store.read(entry.key) for entry in store.list("features/")}
    for key in theirs:
        store.delete(key)
    computed: list[str] = []
    original = FeatureCache._compute

    def compute(self: FeatureCache, shard: Any) -> Any:
        computed.append(shard.key)
        result = original(self, shard)
        # While this worker was busy with its first shard, another one finished all others.
        for key, data in theirs.items():
            store.write_new(key, data)
        return result

    monkeypatch.setattr(FeatureCache, "_compute", compute)
    found = cache_of(store, extractor).load(shards(store), start=0.4)
    np.testing.assert_array_equal(found, alone)
    assert computed == ["develop-00001-of-00003.tfrecord"]


def test_a_shard_that_another_worker_finishes_first_is_given_up(
    store: Store, extractor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_of(store, extractor).load(shards(store))
    key = store.list("features/")[0].key
    whole = store.read(key)
    with np.load(io.BytesIO(whole)) as arrays:
        theirs = arrays["features"] + 1  # so that it can be told apart
    buffer = io.BytesIO()
    np.savez(buffer, features=theirs)
    store.delete(key)
    monkeypatch.setattr(features, "_LOOK_EVERY_SECONDS", 0.0)

    def extractor_of_a_slow_worker(*arguments: Any, **options: Any) -> Any:
        store.write(key, buffer.getvalue())
        return extractor(*arguments, **options)

    found = cache_of(store, extractor_of_a_slow_worker).load(shards(store))
    assert store.read(key) == buffer.getvalue()
    assert any(np.array_equal(found[at : at + len(theirs)], theirs) for at in range(len(found)))


def test_arrays_are_decoded_in_one_thread(store: Store, extractor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Before Python 3.11.8, `ast`, by which numpy parses an array's header, fails in several threads (gh-106905).
    cache_of(store, extractor).load(shards(store))
    load, threads = np.load, []

    def noted(*arguments: Any, **options: Any) -> Any:
        threads.append(threading.current_thread())
        return load(*arguments, **options)

    monkeypatch.setattr(features.np, "load", noted)
    assert len(cache_of(store, extractor).load(shards(store) * 10)) == DEVELOP * 10
    assert threads == [threading.current_thread()] * 30


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied", "foreign", "of another shape"])
def test_damaged_features_are_computed_again(store: Store, extractor: Any, damage: str) -> None:
    whole = cache_of(store, extractor).load(shards(store))
    key = store.list("features/")[1].key
    data = store.read(key)
    other = io.BytesIO()
    np.savez(other, features=np.zeros((2, 4, 8), np.float32))
    damaged = {
        "truncated": data[:-30],
        "flipped": data[:300] + bytes([data[300] ^ 1]) + data[301:],
        "emptied": b"",
        "foreign": b"no features at all",
        "of another shape": other.getvalue(),
    }
    store.write(key, damaged[damage])
    np.testing.assert_array_equal(cache_of(store, extractor).load(shards(store)), whole)
    assert store.read(key) == data


def test_features_that_are_not_finite_name_shard_and_record(store: Store) -> None:
    backbone = small_backbone((HEIGHT, WIDTH, 3), seed=5)
    broken = models.build_extractor(backbone, "max")
    for weight in backbone.weights:
        if weight.name == "beta":
            weight.assign(np.full(weight.shape, np.inf, np.float32))
    with pytest.raises(BadData, match=r"develop-00000-of-00003\.tfrecord, record 0: the backbone's features are not"):
        cache_of(store, broken).load(shards(store))
    assert store.list("features/") == []


def test_the_digest_changes_with_all_that_decides_features_and_with_nothing_else() -> None:
    model = Model(weights="random")
    digest = backbone_digest(model, (299, 299, 1), None, 0)
    assert digest == backbone_digest(model.model_copy(update={"dropout": 0.5}), [299, 299, 1], None, 0)
    changed = [
        backbone_digest(model, (299, 299, 1), None, 1),
        backbone_digest(model, (299, 199, 1), None, 0),
        backbone_digest(model, (299, 299, 1), "a" * 64, 0),
        backbone_digest(model.model_copy(update={"pooling": "flatten"}), (299, 299, 1), None, 0),
    ]
    changed.append(backbone_digest(model.model_copy(update={"weights": "calibrated-random"}), (299, 299, 1), None, 0))
    assert len({digest, *changed}) == 6
    pretrained = backbone_digest(model, (299, 299, 1), "a" * 64, 0)
    assert pretrained == backbone_digest(model, (299, 299, 1), "a" * 64, 7), "only random weights have a seed"
    own = model.model_copy(update={"architecture": "small_networks:small_backbone"})
    shape = (HEIGHT, WIDTH, 3)
    networks = [small_backbone(shape, seed) for seed in (1, 1, 2)]
    layers = [OwnBackbone(own.architecture).describe(network) for network in networks]
    of_own = [
        backbone_digest(own, shape, None, 0, described, network.get_weights())
        for described, network in zip(layers, networks, strict=True)
    ]
    assert of_own[0] == of_own[1] != of_own[2]


def test_workers_that_start_together_start_far_apart() -> None:
    starts = [start_of(trial, fold, 6) for trial in range(2) for fold in range(6)]
    assert starts[:8] == [0, 0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875]
    assert len(set(starts)) == 12
    assert sorted(int(8 * start) for start in starts[:8]) == list(range(8))
