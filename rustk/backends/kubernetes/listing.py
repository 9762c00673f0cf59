"""The Jobs and pods of a run as rustk keeps them: of each no more than it reads, because there may be 10,000."""

import re
from collections.abc import Mapping, Sequence

from rustk.backends.kubernetes.client import METADATA_LIST, TABLE, Cluster, Object
from rustk.backends.kubernetes.errors import NotAllowed, NotFound
from rustk.backends.kubernetes.job_contract import CONTAINER
from rustk.backends.kubernetes.manifests import FOLD_LABEL, TRIAL_LABEL, run_selector

_OF_ONE_FOLD = re.compile(r"-t(\d{4,})-f(\d{2,})$")
_POD_CONDITIONS = ("PodScheduled", "DisruptionTarget")
_KUEUE = "/apis/kueue.x-k8s.io"


def list_jobs(cluster: Cluster, run: str) -> list[Object]:
    """The Jobs of a run, `slim`; of those that succeeded no more than that, their name and their folds."""
    # In this order: a Job that ends in between is in both lists, and none is in neither.
    jobs = list_unsucceeded(cluster, run)
    succeeded = list_succeeded(cluster, run)
    ended = {job["metadata"]["name"] for job in succeeded}
    return [job for job in jobs if job["metadata"]["name"] not in ended] + succeeded


def list_unsucceeded(cluster: Cluster, run: str, *, from_memory: bool = False) -> list[Object]:
    """The Jobs of a run that have not succeeded, `slim`: those that go on, and those that failed."""
    return cluster.list_objects(
        cluster.jobs(),
        asked=_jobs_asked(cluster),
        selector=run_selector(run),
        fields="status.successful=0",
        keep=slim_job,
        from_memory=from_memory,
    )[0]


def list_succeeded(cluster: Cluster, run: str) -> list[Object]:
    """The Jobs of a run that succeeded: no more than that, their name and their folds."""
    asked, selector = _jobs_asked(cluster), run_selector(run)
    fields = "status.successful!=0"
    rows, _ = cluster.list_objects(cluster.jobs(), asked=asked, selector=selector, fields=fields, accept=TABLE)
    names = [str(row["cells"][0]) for row in rows]
    folds = [_OF_ONE_FOLD.search(name) for name in names]
    if all(folds):
        jobs = [
            {"metadata": {"name": name, "labels": {TRIAL_LABEL: found[1], FOLD_LABEL: found[2]}}}
            for name, found in zip(names, folds, strict=True)
            if found
        ]
    else:  # a batch's folds stand in its annotations
        jobs, _ = cluster.list_objects(
            cluster.jobs(), asked=asked, selector=selector, fields=fields, accept=METADATA_LIST, keep=slim_job
        )
    complete = {"conditions": [{"type": "Complete", "status": "True"}]}
    return [{**job, "spec": {}, "status": complete} for job in jobs]


def store_of_jobs(cluster: Cluster, run: str) -> str | None:
    """The store that the Jobs of a run work in, as one of them is told; None where there are none, or it does not say.

    Jobs are called by their run: of two stores with a run of one name, only one can have Jobs in a namespace.
    """
    query = {"labelSelector": run_selector(run), "limit": 1}
    for job in cluster.request("GET", cluster.jobs(), asked=_jobs_asked(cluster), query=query).get("items") or ():
        for container in job["spec"]["template"]["spec"]["containers"]:
            given = list(container.get("args") or ())
            if container["name"] == CONTAINER and "--store" in given[:-1]:
                return str(given[given.index("--store") + 1])
    return None


def _jobs_asked(cluster: Cluster) -> str:
    return f"list jobs.batch in namespace {cluster.namespace}"


def list_pods(cluster: Cluster, selector: str, *, fields: str = "", from_memory: bool = False) -> list[Object]:
    """The pods that a label selector finds, the oldest first; those of earlier attempts too."""
    pods, _ = cluster.list_objects(
        cluster.core("pods"),
        asked=f"list pods in namespace {cluster.namespace}",
        selector=selector,
        fields=fields,
        keep=slim_pod,
        from_memory=from_memory,
    )
    return oldest_first(pods)


def oldest_first(pods: Sequence[Object]) -> list[Object]:
    return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def slim_job(job: Object) -> Object:
    """What rustk reads of a Job, a tenth of it."""
    names = ("name", "uid", "labels", "annotations", "creationTimestamp", "deletionTimestamp", "resourceVersion")
    spec, status = job.get("spec") or {}, job.get("status") or {}
    return {
        "metadata": _parts(job["metadata"], names),
        "spec": _parts(spec, ("suspend",)),
        "status": _parts(status, ("conditions", "failed")),
    }


def slim_pod(pod: Object) -> Object:
    """What rustk reads of a pod, a tenth of it."""
    names = ("name", "labels", "creationTimestamp", "deletionTimestamp", "resourceVersion")
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    containers = [
        {"name": CONTAINER, "resources": _parts(container.get("resources") or {}, ("limits",))}
        for container in spec.get("containers") or []
        if container.get("name") == CONTAINER
    ]
    return {
        "metadata": _parts(pod["metadata"], names),
        "spec": {**_parts(spec, ("nodeName", "activeDeadlineSeconds")), "containers": containers},
        "status": {
            **_parts(status, ("phase", "reason", "message")),
            "conditions": [found for found in status.get("conditions") or [] if found.get("type") in _POD_CONDITIONS],
            "containerStatuses": [
                _parts(found, ("name", "state"))
                for found in status.get("containerStatuses") or []
                if found.get("name") == CONTAINER
            ],
        },
    }


def _parts(whole: Object, names: Sequence[str]) -> Object:
    return {name: whole[name] for name in names if name in whole}


def job_events(cluster: Cluster, jobs: Sequence[Object]) -> dict[str, str]:
    """By Job, why no pod could be made for it: the last warning about it. Asked only where a Job has no pod."""
    events, _ = cluster.list_objects(
        cluster.core("events"),
        asked=f"list events in namespace {cluster.namespace}",
        fields="involvedObject.kind=Job,type=Warning",
    )
    names = {job["metadata"]["name"] for job in jobs}
    latest: dict[str, tuple[str, str]] = {}
    for event in events:
        name = event["involvedObject"]["name"]
        when = str(event.get("lastTimestamp") or event.get("eventTime") or "")
        if name in names and when >= latest.get(name, ("", ""))[0]:
            latest[name] = (when, " ".join(str(event.get("message", "")).split()))
    return {name: message for name, (_, message) in latest.items()}


def queue_messages(cluster: Cluster) -> dict[str, str]:
    """By Job, what Kueue says that it waits for: the condition of its Workload. Empty without Kueue, or the right.

    https://kueue.sigs.k8s.io/docs/concepts/workload
    """
    try:
        group = cluster.request("GET", _KUEUE, asked="look for Kueue")
        version = group["preferredVersion"]["groupVersion"]
        path = f"/apis/{version}/namespaces/{cluster.namespace}/workloads"
        asked = f"list workloads.kueue.x-k8s.io in namespace {cluster.namespace}"
        workloads, _ = cluster.list_objects(path, asked=asked, keep=_slim_workload)
    except (NotFound, NotAllowed, KeyError):
        return {}
    return {workload["job"]: workload["message"] for workload in workloads if workload["job"] and workload["message"]}


def _slim_workload(workload: Object) -> Object:
    owners = [owner for owner in workload["metadata"].get("ownerReferences") or [] if owner.get("kind") == "Job"]
    return {
        "job": str(owners[0].get("name", "")) if owners else "",
        "message": _what_it_waits_for((workload.get("status") or {}).get("conditions") or []),
    }


def _what_it_waits_for(conditions: Sequence[Mapping[str, str]]) -> str:
    """The message of the first step to admission that has not been taken."""
    of_type = {condition.get("type"): condition for condition in conditions}
    for step in ("QuotaReserved", "Admitted"):
        found = of_type.get(step)
        if found is not None and found.get("status") != "True":
            return " ".join(str(found.get("message") or found.get("reason") or "").split())
    return ""
