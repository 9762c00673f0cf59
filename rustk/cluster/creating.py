"""Creating Jobs, as many as the API server takes at once, and freeing the names of those that ended."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rustk.cluster.client import Cluster, Object, encode
from rustk.cluster.errors import AlreadyExists, Conflict, NotFound, QuotaExceeded
from rustk.cluster.pipelining import post_all
from rustk.planning.manifests import Job, spec_hash
from rustk.vocabulary.errors import ClusterFailed

# As many as keep the server busy with Jobs to create while its Job controller, with 20 requests at a time, takes
# notice of those that are there: its notice costs the server as much as the Jobs themselves.
_CONNECTIONS = 128
_ONE_BY_ONE = 8  # threads for what the pipelines left over
_GONE_WITHIN_SECONDS = 30.0


def validate(cluster: Cluster, job: Job) -> None:
    """Have the API server check a Job as if it were created. Raises Refused, NotAllowed or QuotaExceeded.

    Fields that it does not know, which it would drop in silence, are refused as well.
    """
    # Under another name, because the fold's own may be taken by a Job that is to be replaced.
    checked = {**job, "metadata": {**job["metadata"], "name": f"{job['metadata']['name']}-check"}}
    cluster.request(
        "POST",
        cluster.jobs(),
        asked=_asked(cluster),
        query={"dryRun": "All", "fieldValidation": "Strict"},
        body=encode(checked),
    )


def create_jobs(cluster: Cluster, jobs: Sequence[Job]) -> tuple[int, int]:
    """Create these Jobs; how many were made, and how many were there with the same spec.

    Raises AlreadyExists for a Job of the same name and another spec; QuotaExceeded, having stopped; ClusterFailed.
    """
    answers = post_all(
        cluster,
        # One of them has been validated strictly, and they differ in nothing that could be wrong.
        f"{cluster.jobs()}?fieldValidation=Ignore",
        len(jobs),
        lambda number: encode(jobs[number]),
        connections=_CONNECTIONS,
        goes_on=lambda status: not _is_final(status),
    )
    made = sum(status == 201 for status in answers)
    rest = [(status, job) for status, job in zip(answers, jobs, strict=True) if status != 201]
    refused = [job for status, job in rest if status is not None and _is_final(status)]
    others = [job for status, job in rest if status is None or not _is_final(status)]
    existing = 0
    # One that was refused first, alone: its error is likely that of all the others.
    for batch in (refused[:1], [*refused[1:], *others]):
        new, failure = _create_one_by_one(cluster, batch)
        made, existing = made + sum(new), existing + len(new) - sum(new)
        if failure is not None:
            raise _counted(failure, made, len(jobs)) from failure
    return made, existing


def _create_one_by_one(cluster: Cluster, jobs: Sequence[Job]) -> tuple[list[bool], ClusterFailed | None]:
    """Create these, each with retries; for each whether it is new, and the first failure, which stops the others."""
    new: list[bool] = []
    failure: ClusterFailed | None = None
    with ThreadPoolExecutor(_ONE_BY_ONE) as threads:
        futures = [threads.submit(create_job, cluster, job) for job in jobs]
        for future in futures:
            if future.cancelled():
                continue
            try:
                new.append(future.result())
            except ClusterFailed as error:
                failure = failure or error
                for other in futures:
                    other.cancel()
    return new, failure


def _is_final(status: int) -> bool:
    """Whether asking again would not change the answer."""
    return status not in (201, 408, 409, 429) and status < 500


def _counted(error: ClusterFailed, made: int, wanted: int) -> ClusterFailed:
    after = "submit again when there is room" if isinstance(error, QuotaExceeded) else "submit again to continue"
    return type(error)(f"{error} ({made} of {wanted} Jobs were created; {after})")


def create_job(cluster: Cluster, job: Job) -> bool:
    """Create a Job; False if it is there already, with the same spec. Waits for one that is being deleted to go."""
    deadline = time.monotonic() + _GONE_WITHIN_SECONDS
    asked = _asked(cluster)
    name = job["metadata"]["name"]
    while True:
        try:
            cluster.request("POST", cluster.jobs(), asked=asked, body=encode(job))
            return True
        except AlreadyExists:
            try:
                found = cluster.request(
                    "GET", cluster.jobs(name), asked=f"get job {name} in namespace {cluster.namespace}"
                )
            except NotFound:
                continue
            if "deletionTimestamp" not in found["metadata"]:
                if spec_hash(found) == spec_hash(job):
                    return False
                raise AlreadyExists(
                    f"Job {name} is in namespace {cluster.namespace} already, with another spec "
                    f"({spec_hash(found) or 'not of this rustk'}, not {spec_hash(job)}): cancel the run first, "
                    "or submit with the settings it was made with"
                ) from None
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def delete_jobs(cluster: Cluster, jobs: Sequence[Object]) -> None:
    """Delete these ended Jobs, and their pods, to free their names."""

    def delete(job: Object) -> None:
        name = job["metadata"]["name"]
        options = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Background",
            # Not the Job by which another submit has just replaced it.
            "preconditions": {"uid": job["metadata"]["uid"]},
        }
        try:
            cluster.request(
                "DELETE",
                cluster.jobs(name),
                asked=f"delete job {name} in namespace {cluster.namespace}",
                body=encode(options),
            )
        except (NotFound, Conflict):
            return  # its time to live was over, or another submit was quicker

    with ThreadPoolExecutor(_ONE_BY_ONE) as threads:
        list(threads.map(delete, jobs))


def _asked(cluster: Cluster) -> str:
    return f"create jobs.batch in namespace {cluster.namespace}"
