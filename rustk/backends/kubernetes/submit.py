"""Submit a run: a Job for every batch of folds that have neither a history nor a live Job."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

from rustk.backends.kubernetes.client import Cluster, Object
from rustk.backends.kubernetes.creating import create_jobs, delete_jobs, validate
from rustk.backends.kubernetes.job_contract import CONTAINER
from rustk.backends.kubernetes.listing import list_jobs
from rustk.backends.kubernetes.manifests import Job, job_tasks, spec_hash
from rustk.backends.kubernetes.observe import end_of_job, jobs_by_task
from rustk.planning.batches import Batch, FoldTask, make_batches
from rustk.planning.submission import JobState, decide
from rustk.searching.run_search import RunSearch
from rustk.store import Store
from rustk.store.documents import Submission, read_document
from rustk.store.runs import failed_tasks, record_submission
from rustk.vocabulary import names

Render = Callable[[Sequence[Batch]], list[Job]]


@dataclass(frozen=True)
class JobsSubmitted:
    """What a submit found and did.

    created counts new Jobs; existing, Jobs that another submit made meanwhile; live, Jobs that were there. done and
    failed: folds. held: how many folds more Jobs would be made for, if `max_live` left room. complete: nothing is left
    to train. with_job: the folds that have a Job now.
    """

    done: int
    live: int
    failed: tuple[FoldTask, ...]
    held: int
    created: int = 0
    existing: int = 0
    complete: bool = False
    with_job: frozenset[FoldTask] = frozenset()


def submit_run(
    cluster: Cluster,
    store: Store,
    search: RunSearch,
    render: Render,
    *,
    cut: Callable[[Sequence[FoldTask]], list[Batch]] = make_batches,
    retry_failed: bool = False,
    max_live: int | None = None,
    had_job: Set[FoldTask] = frozenset(),
) -> JobsSubmitted:
    """Create a Job for every batch of the folds that `search` may have trained now and that nobody is at work on.

    render: makes the Jobs of batches. cut: makes batches of folds. had_job: folds that had a Job; those whose Job is
    gone were cancelled, and get none. Raises BackendFailed, saying how many were created where that is not none.
    """
    run = search.run
    # Jobs before histories: a fold that ends in between shows its history, so it is never trained twice.
    jobs = list_jobs(cluster, run)
    of_task = jobs_by_task(jobs)
    now = search.next()
    done, failures = now.done, failed_tasks(store, run)
    decision = decide(
        [task for task in now.tasks if task in of_task or task not in had_job],
        jobs={task: _state(job) for task, job in of_task.items()},
        done=done,
        failures=failures,
        retry_failed=retry_failed,
    )
    live = sum(not end_of_job(job)[0] and bool(job_tasks(job)) for job in jobs)
    batches = cut(decision.create)
    room = len(batches) if max_live is None else max(0, max_live - live)
    wanted = render(batches[:room])
    if wanted:
        validate(cluster, wanted[0])
        record_submission(
            store,
            run,
            backend="kubernetes",
            folds=sum(len(batch) for batch in batches[:room]),
            details={
                "namespace": cluster.namespace,
                "image": _image(wanted[0]),
                "jobs": len(wanted),
                "folds_per_job": max(len(batch) for batch in batches[:room]),
                "spec_hash_of_first": spec_hash(wanted[0]),
                "max_live": max_live,
            },
        )
    if wanted or retry_failed:
        # Those that there is no room for yet are forgotten too: to go on with them needs no --retry-failed then.
        for task in decision.create if retry_failed else ():
            if task in failures:
                store.delete(names.failure_key(run, *task))
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
        complete=now.complete,
        with_job=frozenset(of_task) | {task for batch in batches[:room] for task in batch},
    )


def _state(job: Object) -> JobState:
    end, _ = end_of_job(job)
    return end or "live"


def _image(job: Job) -> str:
    containers = job["spec"]["template"]["spec"]["containers"]
    return next(str(container["image"]) for container in containers if container["name"] == CONTAINER)


def last_image(store: Store, run: str) -> str | None:
    """The image that a run was last submitted with, by digest where a tag was resolved; None where none is recorded."""
    for entry in reversed(store.list(names.submissions_prefix(run))):
        image = read_document(store, entry.key, Submission).details.get("image")
        if isinstance(image, str):
            return image
    return None
