"""End a run's Jobs; its results stay."""

import time
from dataclasses import dataclass

from rustk.cluster.client import Cluster, encode
from rustk.cluster.observe import list_pods
from rustk.planning.manifests import run_selector

_POLL_SECONDS = 0.5
# One item of the answer's list of what was deleted would be a whole Job.
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


@dataclass(frozen=True)
class Cancelled:
    jobs: int
    pods_left: int  # still stopping when the time to wait for them was over


def cancel_run(cluster: Cluster, run: str, *, wait_seconds: float = 60.0) -> Cancelled:
    """Delete all Jobs of a run in one request, and wait until their pods have stopped."""
    answer = cluster.request(
        "DELETE",
        cluster.jobs(),
        asked=f"deletecollection jobs.batch in namespace {cluster.namespace}",
        query={"labelSelector": run_selector(run)},
        body=encode({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}),
        accept=_METADATA_ONLY,
    )
    deadline = time.monotonic() + wait_seconds
    while (left := len(list_pods(cluster, run))) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return Cancelled(jobs=len(answer.get("items") or []), pods_left=left)
