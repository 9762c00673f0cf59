"""Submit a run: a Job for every fold that has neither a history nor a live Job."""

from collections.abc import Sequence
from dataclasses import dataclass

from rustk.cluster.client import Cluster, Object
from rustk.cluster.creating import create_jobs, delete_jobs, validate
from rustk.cluster.observe import end_of_job, list_jobs
from rustk.planning.job_contract import CONTAINER
from rustk.planning.manifests import Job, job_task, spec_hash
from rustk.planning.plan import Plan
from rustk.planning.submission import Decision, JobState, decide
from rustk.store import Store
from rustk.store.runs import done_tasks, failed_tasks, record_submission


@dataclass(frozen=True)
class Submitted:
    """What a submit found and did. created counts new Jobs; existing, Jobs that another submit made meanwhile."""

    decision: Decision
    created: int = 0
    existing: int = 0


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
    delete_jobs(cluster, [found[task] for task in decision.replace])
    created, existing = create_jobs(cluster, wanted)
    return Submitted(decision, created, existing)


def _state(job: Object) -> JobState:
    end, _ = end_of_job(job)
    return end or "live"


def _image(job: Job) -> str:
    containers = job["spec"]["template"]["spec"]["containers"]
    return next(str(container["image"]) for container in containers if container["name"] == CONTAINER)
