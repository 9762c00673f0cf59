"""The log of a fold's container."""

from collections.abc import Iterator

from rustk.cluster.client import Cluster
from rustk.cluster.errors import NotFound
from rustk.cluster.observe import waits_for
from rustk.planning.job_contract import CONTAINER
from rustk.planning.manifests import FOLD_LABEL, TRIAL_LABEL, run_selector


def fold_log(cluster: Cluster, run: str, trial: int, fold: int, *, follow: bool) -> Iterator[str]:
    """The lines that the fold's latest pod has printed; with `follow`, until it ends.

    Raises NotFound when the fold has no pod any more, or none that has started.
    """
    pods, _ = cluster.list_objects(
        cluster.core("pods"),
        asked=f"list pods in namespace {cluster.namespace}",
        selector=f"{run_selector(run)},{TRIAL_LABEL}={trial},{FOLD_LABEL}={fold}",
    )
    if not pods:
        raise NotFound(
            f"run {run}: trial {trial} fold {fold} has no pod in namespace {cluster.namespace}: "
            f"it has not been started, or its Job is gone (rustk status {run})"
        )
    latest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    name = latest["metadata"]["name"]
    if latest.get("status", {}).get("phase") == "Pending":
        raise NotFound(f"pod {name} has no log yet: {waits_for(latest)}")
    yield from cluster.log_lines(name, container=CONTAINER, follow=follow)
