"""A cluster as a backend: `submit` creates Jobs, and every command may look at them from anywhere."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from rustk.backends.base import (
    AgainRequest,
    Cancelled,
    Check,
    FinalRequest,
    FoldEvent,
    Preview,
    SubmitOptions,
    Submitted,
)
from rustk.backends.kubernetes.batching import Batching, batching
from rustk.backends.kubernetes.cancel import cancel_run
from rustk.backends.kubernetes.client import Cluster
from rustk.backends.kubernetes.creating import validate
from rustk.backends.kubernetes.doctor import check_cluster, check_settings
from rustk.backends.kubernetes.final import follow_final, start_final
from rustk.backends.kubernetes.listing import store_of_jobs
from rustk.backends.kubernetes.logs import fold_log
from rustk.backends.kubernetes.manifests import FOLD_LABEL, TRIAL_LABEL, Job, run_selector, to_yaml
from rustk.backends.kubernetes.observe import live_folds
from rustk.backends.kubernetes.rendering import render_again, render_final, render_run
from rustk.backends.kubernetes.submit import JobsSubmitted, last_image, submit_run
from rustk.backends.kubernetes.watch import RunWatch
from rustk.planning.batches import Batch, FoldTask
from rustk.planning.plan import Plan
from rustk.planning.progress import LiveFolds, LiveSource
from rustk.planning.rounds import is_decided_in_rounds
from rustk.searching.run_search import RunSearch
from rustk.store import Store
from rustk.vocabulary import names
from rustk.vocabulary.errors import BackendFailed, RustkError
from rustk.vocabulary.settings import Settings
from rustk.vocabulary.wording import counted

# Without a watch to wake it, how often a view looks again.
_POLL_SECONDS = 2.0
_EXIT_INTERRUPTED = 130


class KubernetesBackend:
    name = "kubernetes"
    honours = frozenset(
        {
            "allow_tag",
            "dry_run_server",
            "folds_per_job",
            "image",
            "max_live",
            "namespace",
            "output",
            "retry_failed",
            "wait",
        }
    )

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._connected: Cluster | None = None
        self._batched: tuple[str, bool, Batching] | None = None
        self._searches: dict[str, RunSearch] = {}
        self._had_job: dict[str, frozenset[FoldTask]] = {}

    def preview(self, plan: Plan, options: SubmitOptions, *, ask_server: bool = False) -> Preview:
        batching = self._batching(plan, ask=ask_server)
        # Jobs are of one template: what is wrong with one is wrong with all.
        self._render(plan, [((0, 0),)], allow_tag=options.allow_tag)

        @functools.cache
        def jobs() -> list[Job]:
            now = RunSearch(self._store, plan, writes=False).next()
            return self._render(now.plan, batching.cut(now.tasks), allow_tag=options.allow_tag)

        if ask_server and jobs():
            validate(self._cluster, jobs()[0])

        def sentence() -> str:
            checked = ", and the API server would take them" if ask_server and jobs() else ""
            planned = f"; {batching.why}" if batching.why else ""
            later = ", and then others as the search goes on" if is_decided_in_rounds(plan.study) else ""
            namespace = self._settings.kubernetes.namespace
            return f"{counted(len(jobs()), 'Job')} would be created in namespace {namespace}{later}{checked}{planned}"

        return Preview(sentence, lambda: to_yaml(jobs()))

    def check_run(self, run: str) -> None:
        other = store_of_jobs(self._cluster, run)
        if other is not None and other.rstrip("/") != self._settings.store.rstrip("/"):
            namespace = self._settings.kubernetes.namespace
            raise BackendFailed(
                f"namespace {namespace} has Jobs of a run {run} in another store, {other}: give this run another "
                f"--name, take another namespace, or end those with `rustk cancel {run} --store {other}`"
            )

    def submit(self, plan: Plan, options: SubmitOptions, on_event: Callable[[FoldEvent], None]) -> Submitted:
        search = self._search(plan)
        if (now := search.next()).complete:  # which spares a large run the list of its Jobs
            said = f"0 Jobs created: nothing of the run is left to train; {counted(len(now.done), 'fold')} done"
            return Submitted((said,), started=0, complete=True)
        batching = self._batching(plan)
        submitted = submit_run(
            self._cluster,
            self._store,
            search,
            lambda batches: self._render(search.plan, batches, allow_tag=options.allow_tag),
            cut=batching.cut,
            retry_failed=options.retry_failed,
            max_live=self._settings.kubernetes.max_live,
        )
        self._had_job[plan.run] = submitted.with_job
        why = (batching.why,) if batching.why and submitted.created else ()
        return Submitted(
            (*why, *self._sentences(plan, submitted)),
            started=submitted.created,
            complete=submitted.complete,
        )

    def advance(self, plan: Plan) -> bool:
        bounded = self._settings.kubernetes.max_live is not None
        if not bounded and not is_decided_in_rounds(plan.study):
            return False  # whoever submitted made every Job; one that is gone was cancelled
        search, had_job = self._search(plan), self._had_job.get(plan.run, frozenset())
        submitted = submit_run(
            self._cluster,
            self._store,
            search,
            # submit has had its say about the image, and what it said holds for the run
            lambda batches: self._render(search.plan, batches, allow_tag=True, image=last_image(self._store, plan.run)),
            cut=self._batching(plan).cut,
            max_live=self._settings.kubernetes.max_live,
            had_job=had_job,
        )
        self._had_job[plan.run] = had_job | submitted.with_job
        # A fold that has just written its history leaves a Job that is alive for a moment more: those behind it wait.
        return bool(submitted.created or submitted.existing or submitted.held)

    @contextlib.contextmanager
    def observe(self, run: str, *, watched: bool = False) -> Iterator[LiveSource]:
        gpu_resource = self._settings.kubernetes.gpu_resource
        if not watched:
            yield _Listed(self._cluster, run, gpu_resource)
            return
        with RunWatch(self._cluster, run, gpu_resource) as watch:
            yield watch

    def logs(self, run: str, trial: int, fold: int, *, follow: bool = False) -> Iterator[str]:
        return fold_log(self._cluster, run, trial, fold, follow=follow)

    def cancel(self, run: str, *, wait_seconds: float, tell: Callable[[str], None]) -> Cancelled:
        self.check_run(run)
        ended = cancel_run(self._cluster, run, wait_seconds=wait_seconds, tell=tell)
        are = "is" if ended.jobs == 1 else "are"
        return Cancelled(
            f"run {run}: {counted(ended.jobs, 'Job')} {are} deleted; what is done stays in the store",
            still_stopping=ended.pods_left,
        )

    def train_final(self, plan: Plan, request: FinalRequest, tell: Callable[[str], None]) -> None:
        job = render_final(plan, self._settings, request)
        self._train(plan, job, names.model_card_key(plan.run), "final model", tell)

    def train_again(self, plan: Plan, request: AgainRequest, tell: Callable[[str], None]) -> None:
        job = render_again(plan, self._settings, request)
        key = names.redone_history_key(plan.run, request.trial, request.fold, request.number)
        self._train(plan, job, key, "second history", tell)

    def _train(self, plan: Plan, job: Job, key: str, what: str, tell: Callable[[str], None]) -> None:
        """Have one Job done to its end, which leaves `key` in the store."""
        self.check_run(plan.run)
        name, namespace = job["metadata"]["name"], self._settings.kubernetes.namespace
        said = "created" if start_final(self._cluster, job) else "is there already"
        tell(f"Job {name} {said} in namespace {namespace}; watch it: kubectl -n {namespace} logs -f job/{name}")
        try:
            follow_final(self._cluster, job, tell)
        except KeyboardInterrupt:
            raise RustkError(
                f"stopped waiting; Job {name} goes on: the same command waits for it again, rustk cancel {plan.run} "
                "ends it",
                exit_code=_EXIT_INTERRUPTED,
            ) from None
        if not self._store.exists(key):
            raise BackendFailed(
                f"Job {name} succeeded, but {self._store.url} has no {what} of it: is its store this one?"
            )

    def check(self) -> Iterator[Check]:
        yield from check_settings(self._settings.kubernetes)
        try:
            cluster = self._cluster
        except BackendFailed as error:
            yield Check("fail", "kubeconfig", str(error))
            return
        yield from check_cluster(cluster, self._settings.kubernetes)

    @property
    def _cluster(self) -> Cluster:
        if self._connected is None:
            self._connected = Cluster(self._settings.kubernetes.namespace)
        return self._connected

    def _search(self, plan: Plan) -> RunSearch:
        # What it has read once it keeps: while a run is waited for, it is asked again and again.
        return self._searches.setdefault(plan.run, RunSearch(self._store, plan))

    def _batching(self, plan: Plan, *, ask: bool = True) -> Batching:
        # Planned once: while a run is waited for, it is asked for again and again.
        if self._batched is None or self._batched[:2] != (plan.run, ask):
            settings, cluster = self._settings.kubernetes, self._cluster if ask else None
            found = batching(
                settings, plan, self._store, lambda batch: self._render(plan, [batch], allow_tag=True)[0], cluster
            )
            self._batched = (plan.run, ask, found)
        return self._batched[2]

    def _render(self, plan: Plan, batches: Sequence[Batch], *, allow_tag: bool, image: str | None = None) -> list[Job]:
        settings = self._settings
        if image is not None:
            kubernetes = settings.kubernetes.model_copy(update={"image": image})
            settings = settings.model_copy(update={"kubernetes": kubernetes})
        return render_run(plan, settings, batches, allow_tag=allow_tag)

    def _sentences(self, plan: Plan, found: JobsSubmitted) -> Iterator[str]:
        namespace, run = self._settings.kubernetes.namespace, plan.run
        live = found.live + found.existing
        yield (
            f"{counted(found.created, 'Job')} created in namespace {namespace}; {counted(found.done, 'fold')} done, "
            f"{counted(live, 'Job')} live"
        )
        if found.failed:
            trial, fold = found.failed[0]
            first = f"trial {trial} fold {fold}" + (", ..." if len(found.failed) > 1 else "")
            yield f"{counted(len(found.failed), 'fold')} failed ({first}): see rustk status; --retry-failed tries again"
        if found.held:
            bound = self._settings.kubernetes.max_live
            wait = "waits" if found.held == 1 else "wait"
            yield (
                f"{counted(found.held, 'more fold')} {wait} for room below max_live = {bound}: "
                f"rustk wait {run} --max-live {bound} goes on with them as others end"
            )
        if found.created or live:
            columns = f"-L {TRIAL_LABEL},{FOLD_LABEL}"
            yield f"watch it: rustk status {run} --watch"
            yield f"      or: kubectl -n {namespace} get jobs -l {run_selector(run)} {columns}"


class _Listed:
    """The Jobs of a cluster, listed when asked."""

    def __init__(self, cluster: Cluster, run: str, gpu_resource: str) -> None:
        self._cluster = cluster
        self._run = run
        self._gpu_resource = gpu_resource

    def live_folds(self, now: datetime) -> LiveFolds:
        return live_folds(self._cluster, self._run, self._gpu_resource, now)

    def wait(self, seconds: float) -> None:
        time.sleep(min(seconds, _POLL_SECONDS))
