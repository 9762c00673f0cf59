"""The log of a fold's container."""

import re
from collections.abc import Iterable, Iterator

from rustk.backends.kubernetes.client import Cluster, Object
from rustk.backends.kubernetes.errors import NotFound
from rustk.backends.kubernetes.job_contract import CONTAINER
from rustk.backends.kubernetes.listing import list_pods
from rustk.backends.kubernetes.manifests import FOLD_LABEL, RUN_LABEL, TRIAL_LABEL, job_tasks, run_selector
from rustk.backends.kubernetes.observe import job_selector, waits_for
from rustk.planning.batches import FoldTask

# How a container begins to say something of a fold.
_ABOUT = re.compile(r"\btrial=(\d+) fold=(\d+)\b")


def fold_log(cluster: Cluster, run: str, trial: int, fold: int, *, follow: bool) -> Iterator[str]:
    """The lines that the fold's latest pod has printed of it; with `follow`, until the fold ends.

    Raises NotFound when the fold has no pod any more, or none that has started, or its batch has not come to it yet.
    """
    pods = list_pods(cluster, f"{run_selector(run)},{TRIAL_LABEL}={trial},{FOLD_LABEL}={fold}")
    batch = None if pods else _batch_of(cluster, run, (trial, fold))
    if batch is not None:
        pods = list_pods(cluster, job_selector(batch["metadata"]["name"]))
    if not pods:
        raise NotFound(
            f"run {run}: trial {trial} fold {fold} has no pod in namespace {cluster.namespace}: "
            f"it has not been started, or its Job is gone (rustk status {run})"
        )
    name = pods[-1]["metadata"]["name"]
    if pods[-1].get("status", {}).get("phase") == "Pending":
        raise NotFound(f"pod {name} has no log yet: {waits_for(pods[-1])}")
    lines = cluster.log_lines(name, container=CONTAINER, follow=follow)
    if batch is None:
        yield from lines
        return
    said = False
    for line in lines_of_fold(lines, trial, fold):
        said = True
        yield line
    if not said:
        count = len(job_tasks(batch))
        raise NotFound(f"pod {name} has not said anything of trial {trial} fold {fold} yet: it trains {count} in turn")


def lines_of_fold(lines: Iterable[str], trial: int, fold: int) -> Iterator[str]:
    """The lines of one fold in the log of a batch: from where the fold before it ends to where the next one begins."""
    unclaimed: list[str] = []
    ours = False
    for line in lines:
        about = _ABOUT.search(line)
        if about is None and not ours:
            unclaimed.append(line)
        elif about is None:
            yield line
        elif (int(about[1]), int(about[2])) == (trial, fold):
            ours = True
            yield from unclaimed
            unclaimed.clear()
            yield line
        elif ours:
            return
        else:
            unclaimed.clear()


def _batch_of(cluster: Cluster, run: str, task: FoldTask) -> Object | None:
    """The latest Job that trains a fold among others."""
    jobs, _ = cluster.list_objects(
        cluster.jobs(),
        asked=f"list jobs.batch in namespace {cluster.namespace}",
        selector=f"{RUN_LABEL}={run},!{TRIAL_LABEL}",
    )
    batches = [job for job in jobs if task in job_tasks(job)]
    return max(batches, key=lambda job: str(job["metadata"].get("creationTimestamp", "")), default=None)
