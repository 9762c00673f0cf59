"""The Job of a run's final model: started once, and followed to its end."""

import time
from collections.abc import Callable, Iterator
from functools import partial

from rustk.backends.kubernetes.client import Cluster, Object
from rustk.backends.kubernetes.creating import create_job, delete_jobs, validate
from rustk.backends.kubernetes.errors import NotFound
from rustk.backends.kubernetes.job_contract import CONTAINER
from rustk.backends.kubernetes.listing import job_events, list_pods, queue_messages
from rustk.backends.kubernetes.manifests import Job
from rustk.backends.kubernetes.observe import Waits, end_of_job, explained_state, job_selector
from rustk.vocabulary.errors import BackendFailed

_POLL_SECONDS = 2.0


def start_final(cluster: Cluster, job: Job) -> bool:
    """Create the Job of a final model; False if it is there already, alive and with the same spec.

    One that ended is replaced. Raises AlreadyExists for one that is alive with another spec, Refused, NotAllowed or
    QuotaExceeded.
    """
    found = _get(cluster, job["metadata"]["name"])
    if found is None or end_of_job(found)[0]:
        validate(cluster, job)
        delete_jobs(cluster, [] if found is None else [found])
    return create_job(cluster, job)


def follow_final(cluster: Cluster, job: Job, tell: Callable[[str], None]) -> None:
    """Wait until the Job has succeeded, telling in a line what it does whenever that changes.

    Raises BackendFailed with its last words when it failed, or when it is gone.
    """
    name = job["metadata"]["name"]
    told = ""
    for state, words in _states(cluster, name):
        if state == "succeeded":
            return
        if state == "failed":
            raise BackendFailed(f"Job {name} failed: {words}")
        now = f"{state}: {words}" if words else state
        if now != told:
            told = now
            tell(now)


def _states(cluster: Cluster, name: str) -> Iterator[tuple[str, str]]:
    """The Job's state, and what there is to say of it, every few seconds."""
    while True:
        found = _get(cluster, name)
        if found is None:
            raise BackendFailed(f"Job {name} is gone before its end: somebody has cancelled the run")
        pods = list_pods(cluster, job_selector(name))
        waits = Waits(partial(job_events, cluster, [found]), partial(queue_messages, cluster))
        state, words = explained_state(found, pods, waits)
        yield state, (_last_line(cluster, pods[-1]) or words) if state == "running" else words
        time.sleep(_POLL_SECONDS)


def _get(cluster: Cluster, name: str) -> Object | None:
    try:
        return cluster.request("GET", cluster.jobs(name), asked=f"get job {name} in namespace {cluster.namespace}")
    except NotFound:
        return None


def _last_line(cluster: Cluster, pod: Object) -> str:
    """What its container printed last; empty while it has printed nothing."""
    try:
        return next(cluster.log_lines(pod["metadata"]["name"], container=CONTAINER, follow=False, tail_lines=1), "")
    except BackendFailed:
        return ""  # it has ended meanwhile, or its node does not answer: the Job's state will tell
