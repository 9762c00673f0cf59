"""Create the Jobs of a run: all rendered first, one validated by the API server, then as many as it takes at once."""

import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import rustk
from rustk.cluster.client import Cluster, Object, encode
from rustk.cluster.errors import AlreadyExists, Conflict, NotFound, QuotaExceeded
from rustk.cluster.observe import end_of_job, list_jobs
from rustk.cluster.pipelining import post_all
from rustk.planning.manifests import Job, job_task, read_template, render_jobs, spec_hash
from rustk.planning.plan import Plan
from rustk.planning.submission import Decision, JobState, decide
from rustk.store import Store
from rustk.store.runs import done_tasks, failed_tasks, record_submission
from rustk.vocabulary.errors import BadStudy, ClusterFailed
from rustk.vocabulary.resources import resource_dir
from rustk.vocabulary.settings import KubernetesSettings, Settings

# As many as keep the server busy with Jobs to create while its Job controller, with 20 requests at a time, takes
# notice of those that are there.
_CONNECTIONS = 32
_ONE_BY_ONE = 8  # threads for what the pipelines left over
_GONE_WITHIN_SECONDS = 30.0
_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Submitted:
    """What a submit found and did. created counts new Jobs; existing, Jobs that another submit made meanwhile."""

    decision: Decision
    created: int = 0
    existing: int = 0


def check_image(image: str | None, *, allow_tag: bool) -> str:
    """The worker's image. Raises BadStudy unless it is named by digest, or `allow_tag` is set."""
    if not image:
        raise BadStudy(
            "kubernetes.image is not set: give the worker's image by digest, name@sha256:... (make images builds it)"
        )
    if _DIGEST.fullmatch(image) or (allow_tag and not re.search(r"\s", image)):
        return image
    raise BadStudy(
        f"kubernetes.image = {image}: expected a digest, name@sha256:..., so that every fold runs the same code: "
        f"find it with `skopeo inspect --format '{{{{.Digest}}}}' docker://{image.partition('@')[0]}`, "
        "or take the tag as it is with --allow-tag"
    )


def template_of(settings: KubernetesSettings) -> Job:
    """The Job template that the settings name, or rustk's own. Raises BadStudy for one that breaks the contract."""
    source = settings.template or "k8s/fold-job.yaml"
    path = Path(settings.template).expanduser() if settings.template else resource_dir("k8s") / "fold-job.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadStudy(f"kubernetes.template = {source}: could not read it: {error}") from None
    return read_template(text, source)


def render_run(plan: Plan, settings: Settings, *, allow_tag: bool = False) -> list[Job]:
    """The Job of every fold of a plan, in order. Raises BadStudy for settings or a template that won't do."""
    kubernetes = settings.kubernetes
    if not settings.store.startswith("s3://"):
        raise BadStudy(
            f"store = {settings.store}: pods can't reach a directory of this machine: expected s3://bucket/prefix"
        )
    return render_jobs(
        template_of(kubernetes),
        kubernetes,
        plan.tasks,
        run=plan.run,
        study=plan.study.name,
        store_url=settings.store,
        image=check_image(kubernetes.image, allow_tag=allow_tag),
        version=rustk.__version__,
        # boto3 takes these from this machine's environment, which pods do not have.
        s3_endpoint_url=kubernetes.s3_endpoint_url
        or settings.s3_endpoint_url
        or os.environ.get("AWS_ENDPOINT_URL_S3")
        or os.environ.get("AWS_ENDPOINT_URL"),
    )


def validate(cluster: Cluster, job: Job) -> None:
    """Have the API server check a Job as if it were created. Raises Refused, NotAllowed or QuotaExceeded.

    Fields that it does not know, which it would drop in silence, are refused as well.
    """
    # Under another name, because the fold's own may be taken by a Job that is to be replaced.
    checked = {**job, "metadata": {**job["metadata"], "name": f"{job['metadata']['name']}-check"}}
    cluster.request(
        "POST",
        cluster.jobs(),
        asked=_asked(cluster, job),
        query={"dryRun": "All", "fieldValidation": "Strict"},
        body=encode(checked),
    )


def submit_run(
    cluster: Cluster,
    store: Store,
    plan: Plan,
    jobs: Sequence[Job],
    *,
    retry_failed: bool = False,
    max_live: int | None = None,
) -> Submitted:
    """Create a Job for every fold of `plan` that has neither a history nor a live Job.

    jobs: those of `render_run`. Raises ClusterFailed, saying how many were created where that is not none.
    """
    # Jobs before histories: a fold that ends in between shows its history, so it is never trained twice.
    found = {task: job for job in list_jobs(cluster, plan.run) if (task := job_task(job)) is not None}
    decision = decide(
        plan.tasks,
        jobs={task: _state(job) for task, job in found.items()},
        done=done_tasks(store, plan.run),
        failures=failed_tasks(store, plan.run),
        retry_failed=retry_failed,
        max_live=max_live,
    )
    if not decision.create:
        return Submitted(decision)
    rendered = {task: job for job in jobs if (task := job_task(job)) is not None}
    wanted = [rendered[task] for task in decision.create]
    validate(cluster, wanted[0])
    record_submission(
        store,
        plan.run,
        {
            "backend": "kubernetes",
            "namespace": cluster.namespace,
            "image": _image(wanted[0]),
            "jobs": len(wanted),
            "spec_hash_of_first": spec_hash(wanted[0]),
            "max_live": max_live,
        },
    )
    _delete(cluster, [found[task] for task in decision.replace])
    created, existing = create_jobs(cluster, wanted)
    return Submitted(decision, created, existing)


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
        futures = [threads.submit(_create_one, cluster, job) for job in jobs]
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


def _state(job: Object) -> JobState:
    end, _ = end_of_job(job)
    return end or "live"


def _is_final(status: int) -> bool:
    """Whether asking again would not change the answer."""
    return status not in (201, 408, 409, 429) and status < 500


def _counted(error: ClusterFailed, made: int, wanted: int) -> ClusterFailed:
    after = "submit again when there is room" if isinstance(error, QuotaExceeded) else "submit again to continue"
    return type(error)(f"{error} ({made} of {wanted} Jobs were created; {after})")


def _create_one(cluster: Cluster, job: Job) -> bool:
    """Create a Job; False if it is there already, with the same spec. Waits for one that is being deleted to go."""
    deadline = time.monotonic() + _GONE_WITHIN_SECONDS
    asked = _asked(cluster, job)
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


def _delete(cluster: Cluster, jobs: Sequence[Object]) -> None:
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


def _image(job: Job) -> str:
    env = job["spec"]["template"]["spec"]["containers"]
    return next(str(container["image"]) for container in env if container["name"] == "fold")


def _asked(cluster: Cluster, job: Job) -> str:
    return f"create jobs.batch in namespace {cluster.namespace}"
