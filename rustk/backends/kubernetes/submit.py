"""Submit a run: a Job for every batch of folds that have neither a history nor a live Job."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rustk.backends.kubernetes.client import Cluster, Object
from rustk.backends.kubernetes.creating import create_jobs, delete_jobs, validate
from rustk.backends.kubernetes.job_contract import CONTAINER
from rustk.backends.kubernetes.manifests import Job, job_tasks, spec_hash
from rustk.backends.kubernetes.observe import end_of_job, jobs_by_task, list_jobs
from rustk.planning.batches import Batch, FoldTask, make_batches
from rustk.planning.plan import Plan
from rustk.planning.submission import JobState, decide
from rustk.store import Store
from rustk.store.runs import done_tasks, failed_tasks, record_submission
from rustk.vocabulary import names

Render = Callable[[Sequence[Batch]], list[Job]]


@dataclass(frozen=True)
class JobsSubmitted:
    """What a submit found and did.

    created counts new Jobs; existing, Jobs that another submit made meanwhile; live, Jobs that were there. done and
    failed: folds. held: how many folds more Jobs would be made for, if `max_live` left room.
    """

    done: int
    live: int
    failed: tuple[FoldTask, ...]
    held: int
    created: int = 0
    existing: int = 0


def submit_run(
    cluster: Cluster,
    store: Store,
    plan: Plan,
    render: Render,
    *,
    folds_per_job: int = 1,
    retry_failed: bool = False,
    max_live: int | None = None,
) -> JobsSubmitted:
    """Create a Job for every batch of the folds of `plan` that may be trained now and that nobody is at work on.

    render: makes the Jobs of batches. Raises BackendFailed, saying how many were created where that is not none.
    """
    # Jobs before histories: a fold that ends in between shows its history, so it is never trained twice.
    jobs = list_jobs(cluster, plan.run)
    of_task = jobs_by_task(jobs)
    done, failures = done_tasks(store, plan.run), failed_tasks(store, plan.run)
    decision = decide(
        plan.next_tasks(done),
        jobs={task: _state(job) for task, job in of_task.items()},
        done=done,
        failures=failures,
        retry_failed=retry_failed,
    )
    live = sum(not end_of_job(job)[0] and bool(job_tasks(job)) for job in jobs)
    batches = make_batches(decision.create, folds_per_job)
    room = len(batches) if max_live is None else max(0, max_live - live)
    wanted = render(batches[:room])
    if wanted:
        validate(cluster, wanted[0])
        record_submission(
            store,
            plan.run,
            backend="kubernetes",
            folds=sum(len(batch) for batch in batches[:room]),
            details={
                "namespace": cluster.namespace,
                "image": _image(wanted[0]),
                "jobs": len(wanted),
                "folds_per_job": folds_per_job,
                "spec_hash_of_first": spec_hash(wanted[0]),
                "max_live": max_live,
            },
        )
    if wanted or retry_failed:
        # Those that there is no room for yet are forgotten too: to go on with them needs no --retry-failed then.
        for task in decision.create if retry_failed else ():
            if task in failures:
                store.delete(names.failure_key(plan.run, *task))
        replaced = set(decision.create if retry_failed else [task for batch in batches[:room] for task in batch])
        delete_jobs(cluster, [job for job in jobs if end_of_job(job)[0] and replaced & set(job_tasks(job))])
    created, existing = create_jobs(cluster, wanted) if wanted else (0, 0)
    return JobsSubmitted(
        done=len(done),
        live=live,
        failed=decision.failed,
        held=sum(len(batch) for batch in batches[room:]),
        created=created,
        existing=existing,
    )


def _state(job: Object) -> JobState:
    end, _ = end_of_job(job)
    return end or "live"


def _image(job: Job) -> str:
    containers = job["spec"]["template"]["spec"]["containers"]
    return next(str(container["image"]) for container in containers if container["name"] == CONTAINER)
