"""What Jobs and pods say of the folds of a run: running, waiting (and for what), failed (and with what last words)."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from rustk.backends.kubernetes.client import Cluster, Object
from rustk.backends.kubernetes.job_contract import CONTAINER
from rustk.backends.kubernetes.listing import (
    job_events,
    list_pods,
    list_succeeded,
    list_unsucceeded,
    oldest_first,
    queue_messages,
)
from rustk.backends.kubernetes.manifests import QUEUE_LABEL, job_tasks, run_selector
from rustk.planning.batches import FoldTask
from rustk.planning.progress import LiveFold, LiveFolds

# Beyond so many Jobs that succeeded, their pods are not asked for: they would only tell how long they held a GPU.
_MOST_SUCCEEDED = 1000
_KILLED = 137
_JOB_NAME = "batch.kubernetes.io/job-name"
_IN_QUEUE = "suspended, in queue "

State = Literal["running", "pending", "failed", "succeeded"]


@dataclass(frozen=True)
class Waits:
    """Whom to ask why a Job has no pod, each by the Job's name: its events, and its queue (see `listing`)."""

    events: Callable[[], Mapping[str, str]] = dict
    queue: Callable[[], Mapping[str, str]] = dict


NOT_KNOWN = Waits()


def job_selector(job: str) -> str:
    """The label selector of the pods of one Job."""
    return f"{_JOB_NAME}={job}"


def live_folds(cluster: Cluster, run: str, gpu_resource: str, now: datetime) -> LiveFolds:
    """Every fold of a run that has a Job, as it stood a moment ago."""
    jobs = list_unsucceeded(cluster, run, from_memory=True)
    pods = list_pods(cluster, run_selector(run), fields="status.phase!=Succeeded", from_memory=True)
    waits = Waits(functools.cache(lambda: job_events(cluster, jobs)), functools.cache(lambda: queue_messages(cluster)))

    def ask_all() -> list[LiveFold]:
        before = {job["metadata"]["name"] for job in jobs}
        ended = [job for job in list_succeeded(cluster, run) if job["metadata"]["name"] not in before]
        few = len(ended) <= _MOST_SUCCEEDED
        more = list_pods(cluster, run_selector(run), fields="status.phase=Succeeded") if few else []
        latest = {pod["metadata"]["name"]: pod for pod in (*pods, *more)}
        return observed([*jobs, *ended], latest.values(), gpu_resource, now, waits)

    return LiveFolds(observed(jobs, pods, gpu_resource, now, waits), ask_all)


def observed(
    jobs: Iterable[Object], pods: Iterable[Object], gpu_resource: str, now: datetime, waits: Waits = NOT_KNOWN
) -> list[LiveFold]:
    """The folds of these Jobs. waits: asked only where a Job lacks its pod.

    A fold of a batch is as its Job is: which of them it is at, and which are done, the store knows. One that several
    Jobs were made for is as the live one says, or else the latest.
    """
    of_job: dict[str, list[Object]] = {}
    for pod in pods:
        of_job.setdefault((pod["metadata"].get("labels") or {}).get(_JOB_NAME, ""), []).append(pod)
    folds: dict[FoldTask, LiveFold] = {}
    asked = Waits(functools.cache(waits.events), functools.cache(waits.queue))
    for job in sorted(jobs, key=_precedence):
        tasks = job_tasks(job)
        if not tasks:
            continue
        own = oldest_first(of_job.get(job["metadata"]["name"], []))
        state, reason = explained_state(job, own, asked)
        seconds = sum(_gpu_seconds(pod, gpu_resource, now) for pod in own) / len(tasks)
        for task in tasks:
            before = folds[task].gpu_seconds if task in folds else 0.0
            folds[task] = LiveFold(*task, state, reason, before + seconds)
    return list(folds.values())


def jobs_by_task(jobs: Iterable[Object]) -> dict[FoldTask, Object]:
    """For each fold the Job that counts: the live one, or else the latest."""
    return {task: job for job in sorted(jobs, key=_precedence) for task in job_tasks(job)}


def _precedence(job: Object) -> tuple[bool, str]:
    """Later ones count more."""
    return not end_of_job(job)[0], str(job["metadata"].get("creationTimestamp", ""))


def end_of_job(job: Mapping[str, Any]) -> tuple[Literal["succeeded", "failed", ""], str]:
    """("succeeded" | "failed", message) of a Job that ended; ("", "") of one that has not."""
    for condition in (job.get("status") or {}).get("conditions") or []:
        if condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed"):
            why = _one_line(f"{condition.get('reason', '')}: {condition.get('message', '')}")
            return ("succeeded" if condition["type"] == "Complete" else "failed"), why
    return "", ""


def explained_state(job: Object, pods: Sequence[Object], waits: Waits) -> tuple[State, str]:
    """As `state_of_job`, and where that leaves open why a Job has no pod, what its events or queue say."""
    state, reason = state_of_job(job, pods)
    name = job["metadata"]["name"]
    if state == "pending" and not reason:
        reason = waits.events().get(name, "waiting for the Job controller to make a pod")
    elif reason.startswith(_IN_QUEUE) and name in waits.queue():
        reason = f"{reason.removeprefix('suspended, ')}: {waits.queue()[name]}"
    return state, reason


def state_of_job(job: Object, pods: Sequence[Object]) -> tuple[State, str]:
    """What a Job does, and why. pods: its own, the oldest first.

    ("pending", "") is a Job that should have a pod and has none: its events may say why.
    """
    end, message = end_of_job(job)
    ended = [words for pod in pods if (words := last_words(pod))]
    if end == "failed":
        return "failed", ended[-1] if ended and "DeadlineExceeded" not in message else message
    if end == "succeeded":
        return "succeeded", ""
    attempts = int((job.get("status") or {}).get("failed") or 0)
    before = f" (attempt {attempts + 1}; the last one: {ended[-1]})" if attempts and ended else ""
    if job["spec"].get("suspend"):
        queue = (job["metadata"].get("labels") or {}).get(QUEUE_LABEL)
        return "pending", (f"{_IN_QUEUE}{queue}" if queue else "suspended") + before
    current = pods[-1] if pods and not last_words(pods[-1]) else None
    if current is None or current.get("status", {}).get("phase") == "Succeeded":
        return "pending", f"backing off before the next attempt{before}" if before else ""
    if _fold_container(current).get("state", {}).get("running"):
        return "running", f"attempt {attempts + 1}{before and '; the last one: ' + ended[-1]}" if before else ""
    return "pending", waits_for(current) + before


def waits_for(pod: Object) -> str:
    """Why a pod does not run yet: the scheduler's message, or what its container waits for."""
    status = pod.get("status") or {}
    waiting = (_fold_container(pod).get("state") or {}).get("waiting") or {}
    if waiting and waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
        return _one_line(f"{waiting['reason']}: {waiting.get('message', '')}").rstrip(": ")
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return _one_line(str(condition.get("message") or condition.get("reason") or "not scheduled yet"))
    return "starting" if waiting or pod["spec"].get("nodeName") else "not scheduled yet"


def last_words(pod: Object) -> str:
    """Why a pod failed, in one line; empty for one that has not."""
    status = pod.get("status") or {}
    if status.get("phase") != "Failed":
        return ""
    ended = (_fold_container(pod).get("state") or {}).get("terminated") or {}
    if status.get("reason") == "DeadlineExceeded":
        deadline = pod["spec"].get("activeDeadlineSeconds")
        return f"an attempt took longer than {deadline} s on its node: raise kubernetes.active_deadline_seconds"
    if status.get("reason") and not ended.get("message"):
        return _one_line(f"{status['reason']}: {status.get('message', '')}").rstrip(": ")
    code = ended.get("exitCode")
    if ended.get("reason") == "OOMKilled":
        limit = _limits(pod).get("memory", "none")
        return f"exit code {code}: out of memory (its limit is {limit}): raise kubernetes.memory"
    said = [line for line in str(ended.get("message") or "").splitlines() if line.strip()]
    if said and code != _KILLED:
        return f"exit code {code}: {_one_line(said[-1])}"
    disrupted = [c for c in status.get("conditions") or [] if c.get("type") == "DisruptionTarget"]
    if disrupted:
        return _one_line(f"{disrupted[0].get('reason', '')}: {disrupted[0].get('message', '')}")
    return f"exit code {code}" + (": killed" if code == _KILLED else "") if ended else "its container never ran"


def _gpu_seconds(pod: Object, gpu_resource: str, now: datetime) -> float:
    state = _fold_container(pod).get("state") or {}
    span = state.get("running") or state.get("terminated") or {}
    started = _time(span.get("startedAt"))
    if started is None:
        return 0.0
    ended = _time(span.get("finishedAt")) or now
    return max(0.0, (ended - started).total_seconds()) * float(_limits(pod).get(gpu_resource, 0))


def _fold_container(pod: Object) -> Object:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return next((status for status in statuses if status.get("name") == CONTAINER), {})


def _limits(pod: Object) -> Object:
    containers = pod["spec"].get("containers") or []
    fold: Object = next((container for container in containers if container.get("name") == CONTAINER), {})
    return (fold.get("resources") or {}).get("limits") or {}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _one_line(text: str) -> str:
    return " ".join(text.split())
