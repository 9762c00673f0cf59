"""How many folds each Job trains: as the settings say, or, for `auto`, planned from what a fold costs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from rustk.backends.kubernetes.client import Cluster, Object
from rustk.backends.kubernetes.errors import NotAllowed
from rustk.backends.kubernetes.job_contract import CONTAINER
from rustk.backends.kubernetes.manifests import Job
from rustk.planning.batches import Batch, FoldTask, folds_per_batch_for, make_batches
from rustk.planning.cost import CPU, GPU, expected_fold_seconds
from rustk.planning.plan import Plan
from rustk.store import Store
from rustk.store.datasets import read_dataset
from rustk.training.backbones import find_backbone
from rustk.training.objectives import find_objective
from rustk.vocabulary.settings import KubernetesSettings
from rustk.vocabulary.wording import counted

# Where neither max_live nor the nodes say how many Jobs can run at a time.
ASSUMED_AT_A_TIME = 8


@dataclass(frozen=True)
class Batching:
    """How folds are cut into batches. why: in words, where it was planned."""

    cut: Callable[[Sequence[FoldTask]], list[Batch]]
    why: str = ""


def batching(
    settings: KubernetesSettings, plan: Plan, store: Store, job_of: Callable[[Batch], Job], cluster: Cluster | None
) -> Batching:
    """The batching that the settings ask for.

    job_of: renders the Job of a batch, which says what each needs of a node. cluster: to ask for its nodes, where you
    may list them; None asks nobody.
    """
    size = settings.folds_per_job or 1
    if size != "auto":
        return Batching(lambda tasks: make_batches(tasks, size))
    seconds = _fold_seconds(settings, plan, store)
    if seconds is None:
        return Batching(make_batches, "one fold a Job, because what your own backbone costs is not known")
    at_a_time, by = _at_a_time(settings, job_of(((0, 0),)), cluster)

    def cut(tasks: Sequence[FoldTask]) -> list[Batch]:
        return make_batches(tasks, folds_per_batch_for(len(tasks), fold_seconds=seconds, at_a_time=at_a_time))

    return Batching(
        cut, f"batches are planned for {counted(at_a_time, 'Job')} at a time ({by}) and {seconds:.2g} s a fold"
    )


def _fold_seconds(settings: KubernetesSettings, plan: Plan, store: Store) -> float | None:
    study = plan.study
    shape = read_dataset(store, plan.dataset).image_shape
    return expected_fold_seconds(
        study,
        plan.trials,
        images=len(plan.sample_ids),
        outputs_of=lambda one: find_objective(one.model.objective, plan.instrument).outputs,
        backbone_of=lambda one: find_backbone(one.model.architecture).cost(shape, one.model.pooling),
        device=CPU if settings.gpus == 0 else GPU,
    )


def _at_a_time(settings: KubernetesSettings, job: Job, cluster: Cluster | None) -> tuple[int, str]:
    """How many Jobs can run at a time, and by what that is known."""
    room = None
    if cluster is not None:
        try:
            nodes, _ = cluster.list_objects("/api/v1/nodes", asked="list nodes")
            room = room_for(job, nodes)
        except NotAllowed:
            pass  # a namespace's Role can't grant it
    if settings.max_live is not None and (not room or settings.max_live <= room):
        return settings.max_live, "max_live"
    if room:
        return room, "as many as fit on the nodes"
    return ASSUMED_AT_A_TIME, "assumed: you may not list nodes, and max_live is not set"


def room_for(job: Job, nodes: Iterable[Object]) -> int:
    """How many pods of a Job fit, by its requests, on those of these nodes that it may go to, were they empty."""
    pod = job["spec"]["template"]["spec"]
    container = next(found for found in pod["containers"] if found["name"] == CONTAINER)
    resources = container.get("resources") or {}
    needed = {
        name: _number(value)
        for name, value in {**(resources.get("limits") or {}), **(resources.get("requests") or {})}.items()
    }
    needed = {"pods": Fraction(1), **{name: value for name, value in needed.items() if value > 0}}
    selector, tolerations = pod.get("nodeSelector") or {}, pod.get("tolerations") or []
    return sum(_room_on(node, needed) for node in nodes if _may_go_to(node, selector, tolerations))


def _room_on(node: Object, needed: Mapping[str, Fraction]) -> int:
    has = node["status"].get("allocatable") or {}
    return min(int(_number(has.get(name, 0)) / value) for name, value in needed.items())


def _may_go_to(node: Object, selector: Mapping[str, str], tolerations: Sequence[Mapping[str, Any]]) -> bool:
    labels = node["metadata"].get("labels") or {}
    taints = node.get("spec", {}).get("taints") or []
    repelled = [taint for taint in taints if taint.get("effect") in ("NoSchedule", "NoExecute")]
    return all(labels.get(name) == value for name, value in selector.items()) and all(
        any(_tolerates(toleration, taint) for toleration in tolerations) for taint in repelled
    )


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint.get("key"))
    return toleration.get("key") == taint.get("key") and toleration.get("value", "") == taint.get("value", "")


def _number(quantity: Any) -> Fraction:
    return Fraction(parse_quantity(str(quantity)))
