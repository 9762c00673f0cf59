"""End a run's Jobs; its results stay."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from rustk.backends.kubernetes.client import METADATA_LIST, Cluster, encode
from rustk.backends.kubernetes.errors import Unreachable
from rustk.backends.kubernetes.manifests import run_selector
from rustk.vocabulary.errors import BackendFailed
from rustk.vocabulary.wording import counted

_POLL_SECONDS = 0.5
# The server deletes a collection's objects one by one before it answers. It stops when nobody waits for the answer any
# more, so asking again is also how to hear how far it is.
_ANSWER_SECONDS = 20.0
# No Job has gone in so long, although the server answers: something holds them.
_STUCK_SECONDS = 300.0


@dataclass(frozen=True)
class CancelledJobs:
    """jobs: how many there were. pods_left: still stopping when the time to wait for them was over."""

    jobs: int
    pods_left: int


def cancel_run(
    cluster: Cluster,
    run: str,
    *,
    wait_seconds: float = 60.0,
    tell: Callable[[str], None] = lambda line: None,
    answer_seconds: float = _ANSWER_SECONDS,
) -> CancelledJobs:
    """Delete all Jobs of a run, and wait until their pods have stopped.

    Whether a request that was not answered in time has done its work is not known, so the Jobs are counted, and asked
    for again until none is left. Raises BackendFailed when none goes any more, or the server is away for too long.
    """
    there = left = _count(cluster, cluster.jobs(), "jobs.batch", run)
    moved = time.monotonic()
    while left:
        _delete_collection(cluster, run, answer_seconds)
        now = _count(cluster, cluster.jobs(), "jobs.batch", run)
        if now < left:
            moved = time.monotonic()
        elif time.monotonic() - moved > _STUCK_SECONDS:
            raise BackendFailed(
                f"{counted(now, 'Job')} of run {run} can't be deleted: kubectl -n {cluster.namespace} describe job "
                f"-l {run_selector(run)}"
            )
        left = now
        if left:
            tell(f"{there - left} of {counted(there, 'Job')} are deleted")
            time.sleep(_POLL_SECONDS)
    deadline = time.monotonic() + wait_seconds
    told = time.monotonic()
    while (pods := _count(cluster, cluster.core("pods"), "pods", run)) and time.monotonic() < deadline:
        if time.monotonic() - told > answer_seconds:
            told = time.monotonic()
            tell(f"{counted(pods, 'pod')} {'is' if pods == 1 else 'are'} still stopping")
        time.sleep(_POLL_SECONDS)
    return CancelledJobs(jobs=there, pods_left=pods)


def _delete_collection(cluster: Cluster, run: str, answer_seconds: float) -> None:
    try:
        cluster.request(
            "DELETE",
            cluster.jobs(),
            asked=f"deletecollection jobs.batch in namespace {cluster.namespace}",
            query={"labelSelector": run_selector(run)},
            body=encode({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}),
            # One item of the answer's list of what was deleted would be a whole Job.
            accept=METADATA_LIST,
            retry_for_seconds=0.0,
            read_timeout_seconds=answer_seconds,
        )
    except Unreachable:
        return  # the next count tells, and waits for a server that is away


def _count(cluster: Cluster, path: str, resource: str, run: str) -> int:
    asked = f"list {resource} in namespace {cluster.namespace}"
    return len(cluster.list_objects(path, asked=asked, selector=run_selector(run), accept=METADATA_LIST)[0])
