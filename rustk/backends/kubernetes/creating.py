"""Creating Jobs by a pool of threads, and freeing the names of those that ended."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from rustk.backends.kubernetes.client import METADATA_ONLY, Cluster, Object, encode
from rustk.backends.kubernetes.errors import AlreadyExists, Conflict, NotFound, QuotaExceeded
from rustk.backends.kubernetes.manifests import Job, spec_hash
from rustk.vocabulary.errors import BackendFailed

# Each keeps a connection busy; more of them wait for one another in this process.
_THREADS = 24
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

    One of them has been validated. Raises AlreadyExists for a Job of the same name and another spec; QuotaExceeded;
    BackendFailed: having stopped, and saying how many were made.
    """
    made = existing = 0
    failure: BackendFailed | None = None
    with ThreadPoolExecutor(_THREADS) as threads:
        futures = [threads.submit(create_job, cluster, job) for job in jobs]
        for future in futures:
            if future.cancelled():
                continue
            try:
                new = future.result()
            except BackendFailed as error:
                failure = failure or error
                for other in futures:
                    other.cancel()
            else:
                made, existing = made + new, existing + (not new)
    if failure is not None:
        after = "submit again when there is room" if isinstance(failure, QuotaExceeded) else "submit again to continue"
        raise type(failure)(f"{failure} ({made} of {len(jobs)} Jobs were created; {after})") from failure
    return made, existing


def create_job(cluster: Cluster, job: Job) -> bool:
    """Create a Job; False if it is there already, with the same spec. Waits for one that is being deleted to go."""
    deadline = time.monotonic() + _GONE_WITHIN_SECONDS
    name = job["metadata"]["name"]
    while True:
        try:
            cluster.request(
                "POST",
                cluster.jobs(),
                asked=_asked(cluster),
                # A Job of the same template has been validated strictly; they differ in nothing that could be wrong.
                query={"fieldValidation": "Ignore"},
                body=encode(job),
                accept=METADATA_ONLY,
            )
            return True
        except AlreadyExists:
            try:
                found = cluster.request(
                    "GET",
                    cluster.jobs(name),
                    asked=f"get job {name} in namespace {cluster.namespace}",
                    accept=METADATA_ONLY,
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
        options: Object = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Background",
            # Not the Job by which another submit has just replaced it.
            "preconditions": {"uid": job["metadata"].get("uid")},
        }
        try:
            if "uid" not in job["metadata"]:  # one that had succeeded when Jobs were listed
                asked = f"get job {name} in namespace {cluster.namespace}"
                found = cluster.request("GET", cluster.jobs(name), asked=asked)
                if not (found.get("status") or {}).get("succeeded"):
                    return
                options["preconditions"] = {"uid": found["metadata"]["uid"]}
            cluster.request(
                "DELETE",
                cluster.jobs(name),
                asked=f"delete job {name} in namespace {cluster.namespace}",
                body=encode(options),
            )
        except (NotFound, Conflict):
            return  # its time to live was over, or another submit was quicker

    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(delete, jobs))


def _asked(cluster: Cluster) -> str:
    return f"create jobs.batch in namespace {cluster.namespace}"
