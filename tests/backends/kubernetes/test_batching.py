"""How many Jobs fit on nodes, and batches planned from that and from what a fold costs."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from rustk.backends.base import SubmitOptions
from rustk.backends.kubernetes.backend import KubernetesBackend
from rustk.backends.kubernetes.batching import ASSUMED_AT_A_TIME, room_for
from rustk.backends.kubernetes.manifests import job_tasks
from rustk.planning.plan import Plan
from rustk.store import Store, open_store
from rustk.store.documents import DatasetDocument, write_document
from rustk.store.runs import publish_plan
from rustk.vocabulary import names
from rustk.vocabulary.settings import load_settings
from tests.planning.plans import plan_of, random_plan, study_of

from .api import Namespace
from .conftest import Asked, Reply, Server, write_kubeconfig

GPU_TAINT = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
TOLERATED = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def node(
    taints: list[dict[str, str]] | None = None, labels: dict[str, str] | None = None, **has: str
) -> dict[str, Any]:
    allocatable = {"cpu": "16", "memory": "128Gi", "pods": "110", "nvidia.com/gpu": "8", **has}
    return {
        "metadata": {"name": "n", "labels": labels or {}},
        "spec": {"taints": taints or []},
        "status": {"allocatable": allocatable},
    }


def job(limits: dict[str, Any], requests: dict[str, Any] | None = None, **pod: Any) -> dict[str, Any]:
    container = {"name": "fold", "resources": {"requests": requests or {}, "limits": limits}}
    return {"spec": {"template": {"spec": {"containers": [container], **pod}}}}


def test_the_scarcest_resource_says_how_many_fit() -> None:
    one_gpu = {"nvidia.com/gpu": 1}
    assert room_for(job(one_gpu), [node(), node()]) == 16
    assert room_for(job(one_gpu, {"cpu": "4"}), [node()]) == 4
    assert room_for(job({"memory": "48Gi", **one_gpu}), [node()]) == 2
    assert room_for(job({"nvidia.com/gpu": 3}), [node(), node()]) == 4  # no pod lies on two nodes
    assert room_for(job({}, {"cpu": "500m"}), [node(pods="20")]) == 20
    assert room_for(job({"example.org/fpga": 1}), [node()]) == 0


def test_nodes_that_a_pod_may_not_go_to_do_not_count() -> None:
    wanted = {"nvidia.com/gpu": 1}
    assert room_for(job(wanted), [node([GPU_TAINT])]) == 0
    assert room_for(job(wanted, tolerations=TOLERATED), [node([GPU_TAINT])]) == 8
    assert room_for(job(wanted, tolerations=[{"operator": "Exists"}]), [node([GPU_TAINT])]) == 8
    for wrong in ({"value": "absent"}, {"value": "present", "effect": "NoExecute"}):
        assert room_for(job(wanted, tolerations=[{"key": "nvidia.com/gpu", **wrong}]), [node([GPU_TAINT])]) == 0
    assert room_for(job(wanted), [node([{**GPU_TAINT, "effect": "PreferNoSchedule"}])]) == 8
    chosen = job(wanted, nodeSelector={"gpu": "l4"})
    assert room_for(chosen, [node(labels={"gpu": "l4"}), node(labels={"gpu": "t4"}), node()]) == 8


class Place:
    """A published plan of 40 trials of 3 folds on a phantom of a dataset, and a cluster of one node with 8 GPUs."""

    def __init__(self, directory: Path, server: Server, plan: Plan | None = None) -> None:
        self.store: Store = open_store(str(directory / "store"))
        self.plan = publish_plan(self.store, plan or random_plan(trials=40, name="searched-1"))
        dataset = {"name": "numbers", "image_shape": (96, 96, 3), "shards": (), "index_sha256": "0" * 64}
        document = DatasetDocument.model_validate({**dataset, "digest": "d" * 64})
        write_document(self.store, names.dataset_key("numbers"), document)
        self.namespace = Namespace()
        self.nodes = Reply(200, {"items": [node([GPU_TAINT])], "metadata": {}})
        self.asked_for_nodes = 0
        server.answer = self.answer

    def answer(self, asked: Asked) -> Reply:
        if asked.path.startswith("/api/v1/nodes"):
            self.asked_for_nodes += 1
            return self.nodes
        return self.namespace.answer(asked)

    def backend(self, **kubernetes: object) -> KubernetesBackend:
        image = "registry.example.org/worker@sha256:" + "a" * 64
        section = {"image": image, "folds_per_job": "auto", **kubernetes}
        return KubernetesBackend(
            load_settings({"store": "s3://bucket/prefix", "backend": "kubernetes", "kubernetes": section}), self.store
        )

    def submit(self, **kubernetes: object) -> str:
        return "\n".join(self.backend(**kubernetes).submit(self.plan, SubmitOptions(), lambda event: None).sentences)

    @property
    def sizes(self) -> list[int]:
        return sorted(len(job_tasks(job)) for job in self.namespace.jobs.values())


@pytest.fixture
def place(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", server.url)))
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path, server)


def test_short_folds_are_put_together_to_a_minute(place: Place) -> None:
    """A step takes 3 ms and a fold a few of them: 120 folds are not a minute of work."""
    said = place.submit()
    assert "batches are planned for 8 Jobs at a time (as many as fit on the nodes)" in said
    assert place.sizes == [120]


def test_long_folds_are_spread_over_the_gpus(place: Place, tmp_path: Path, server: Server) -> None:
    long = (
        "name: long\nmodel: {weights: random}\ntraining: {epochs: 3000, batch_size: 1}\nfolds: {scheme: shard, k: 20}"
    )
    other = Place(tmp_path / "long", server, plan_of(study_of(long), name="long-1"))
    other.submit(max_live=4)
    assert other.sizes == [5, 5, 5, 5]
    other.namespace.jobs.clear()
    other.submit()
    assert other.sizes == [2, 3, 3, 3, 3, 3, 3]


def test_who_may_not_list_nodes_is_told_what_is_assumed(place: Place) -> None:
    place.nodes = Reply(403, {"reason": "Forbidden", "message": 'User "me" cannot list resource "nodes"'})
    assert f"planned for {ASSUMED_AT_A_TIME} Jobs at a time (assumed: you may not list nodes, " in place.submit()
    place.namespace.jobs.clear()
    assert "planned for 5 Jobs at a time (max_live)" in place.submit(max_live=5)


def test_a_dry_run_without_the_server_asks_for_no_nodes(place: Place) -> None:
    preview = place.backend().preview(place.plan, SubmitOptions())
    assert "1 Job would be created in namespace rustk; batches are planned for 8 Jobs" in preview.sentence()
    assert place.asked_for_nodes == 0


def test_who_waits_asks_for_the_nodes_once(place: Place) -> None:
    backend = place.backend(max_live=1)
    for _ in range(3):
        backend.advance(place.plan)
        with contextlib.suppress(KeyError):
            place.namespace.jobs.popitem()
    assert place.asked_for_nodes == 1
