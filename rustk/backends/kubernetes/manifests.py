"""From a template and settings to a run's Jobs, one a batch of folds and one for its final model: the same bytes."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from rustk.backends.base import AgainRequest, FinalRequest
from rustk.backends.kubernetes.job_contract import CONTAINER, template_faults
from rustk.planning.batches import Batch, FoldTask
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.names import MAX_JOB_NAME
from rustk.vocabulary.reading import parse_yaml
from rustk.vocabulary.settings import KubernetesSettings

Job = dict[str, Any]

RUN_LABEL = "rustk.dev/run"
STUDY_LABEL = "rustk.dev/study"
TRIAL_LABEL = "rustk.dev/trial"
FOLD_LABEL = "rustk.dev/fold"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
SPEC_HASH = "rustk.dev/spec-hash"
TASKS = "rustk.dev/tasks"  # of a batch of several: 7/3,7/4


def run_selector(run: str) -> str:
    """The label selector of a run's Jobs and pods."""
    return f"{RUN_LABEL}={run}"


def job_name(run: str, batch: Batch) -> str:
    """<run>-t0007-f03, at most 52 characters: of a longer run id the end gives way to 8 digits of its hash.

    A batch of several folds is <run>-b and 8 digits of the hash of its tasks.
    """
    if len(batch) == 1:
        ((trial, fold),) = batch
        return _name(run, f"-t{trial:04d}-f{fold:02d}")
    return _name(run, f"-b{hashlib.sha256(_in_text(batch).encode()).hexdigest()[:8]}")


def final_job_name(run: str) -> str:
    """<run>-final, shortened in the same way."""
    return _name(run, "-final")


def again_job_name(run: str, request: AgainRequest) -> str:
    """<run>-t0007-f03-again1, shortened in the same way."""
    return _name(run, f"-t{request.trial:04d}-f{request.fold:02d}-again{request.number}")


def _name(run: str, suffix: str) -> str:
    room = MAX_JOB_NAME - len(suffix)
    if len(run) > room:
        run = f"{run[: room - 9].rstrip('-')}-{hashlib.sha256(run.encode()).hexdigest()[:8]}"
    return run + suffix


def _in_text(batch: Iterable[FoldTask]) -> str:
    return ",".join(f"{trial}/{fold}" for trial, fold in batch)


def job_tasks(job: Mapping[str, Any]) -> Batch:
    """The (trial, fold) pairs that a Job trains, by its labels or annotation; none for one that trains no folds."""
    metadata = job.get("metadata", {})
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    try:
        if TASKS in annotations:
            pairs = (task.split("/") for task in annotations[TASKS].split(","))
            return tuple((int(trial), int(fold)) for trial, fold in pairs)
        return ((int(labels[TRIAL_LABEL]), int(labels[FOLD_LABEL])),)
    except (KeyError, ValueError):
        return ()


def read_template(text: str, source: str) -> Job:
    """A Job template from YAML. Raises BadStudy that names every fault of one that would break a fold's contract."""
    template = parse_yaml(text, source)
    faults = template_faults(template)
    if faults:
        raise BadStudy(f"{source}: {'; '.join(faults)}")
    job: Job = template
    return job


@dataclass(frozen=True)
class JobSource:
    """What all Jobs of a run have in common.

    template: from `read_template`. store_url, s3_endpoint_url: the store as pods reach it. version: rustk's.
    """

    template: Job
    settings: KubernetesSettings
    run: str
    study: str
    store_url: str
    image: str
    version: str
    s3_endpoint_url: str | None = None


def render_jobs(source: JobSource, batches: Iterable[Batch]) -> list[Job]:
    """The Jobs of these batches, in their order. They share what is common to them: do not change them."""
    renderer = _Renderer(source)
    return [_render_batch(renderer, source.run, batch) for batch in batches]


def _render_batch(renderer: "_Renderer", run: str, batch: Batch) -> Job:
    arguments = [text for trial, fold in batch for text in ("--task", f"{trial}/{fold}")]
    labels, annotations = {}, {}
    if len(batch) == 1:
        ((trial, fold),) = batch
        labels = {TRIAL_LABEL: str(trial), FOLD_LABEL: str(fold)}
    else:
        annotations = {TASKS: _in_text(batch)}
    return renderer.render(job_name(run, batch), "fold", arguments, labels, annotations)


def render_final_job(source: JobSource, request: FinalRequest) -> Job:
    """The Job that trains a run's final model and tests it once."""
    return _Renderer(source).render(final_job_name(source.run), "final", request.arguments, {}, {})


def render_again_job(source: JobSource, request: AgainRequest) -> Job:
    """The Job that trains one fold once more, beside its history."""
    return _Renderer(source).render(again_job_name(source.run, request), "again", request.arguments, {}, {})


def to_yaml(jobs: Sequence[Job]) -> str:
    """The Jobs as a YAML stream for `kubectl apply -f -`."""
    return "".join(f"---\n{yaml.dump(job, Dumper=_Plain, sort_keys=False, width=120)}" for job in jobs)


def spec_hash(job: Mapping[str, Any]) -> str:
    """The hash that rendering took over the spec of this Job, without labels, before the API server's defaults."""
    return str((job["metadata"].get("annotations") or {}).get(SPEC_HASH, ""))


class _Renderer:
    """Makes one Job after another from what they have in common."""

    def __init__(self, source: JobSource) -> None:
        self._source = source
        self._spec = _common_spec(source.template, source.settings, source.image, source.s3_endpoint_url)
        self._hash = hashlib.sha256(_canonical(self._spec))
        # After the hash: whether a Job was made to wait says nothing about what it does.
        if (suspend := _suspended(source.settings)) is not None:
            self._spec["suspend"] = suspend
        metadata = source.template.get("metadata") or {}
        self._annotations = metadata.get("annotations") or {}
        self._labels = {
            **(metadata.get("labels") or {}),
            "app.kubernetes.io/instance": source.run,
            "app.kubernetes.io/version": source.version,
            "app.kubernetes.io/part-of": "rustk",
            "app.kubernetes.io/managed-by": "rustk",
            STUDY_LABEL: source.study,
        }

    def render(
        self,
        name: str,
        command: str,
        arguments: list[str],
        labels: Mapping[str, str],
        annotations: Mapping[str, str],
    ) -> Job:
        """A Job that runs `command` of the container's program, which is its component too, with these arguments."""
        source = self._source
        arguments = [command, "--store", source.store_url, "--run", source.run, *arguments]
        own_hash = self._hash.copy()
        own_hash.update(_canonical(arguments))
        # A pod bears what it is selected by; its Job, which it names, says the rest.
        selected = {
            "app.kubernetes.io/name": "rustk",
            "app.kubernetes.io/component": command,
            RUN_LABEL: source.run,
            **labels,
        }
        queue = {QUEUE_LABEL: source.settings.queue} if source.settings.queue else {}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "namespace": source.settings.namespace,
                "labels": self._labels | selected | queue,
                "annotations": {**self._annotations, **annotations, SPEC_HASH: own_hash.hexdigest()[:16]},
            },
            "spec": _with_task(self._spec, selected, arguments),
        }


class _Plain(yaml.SafeDumper):
    """No anchors: what Jobs share is written out in each."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _common_spec(template: Job, settings: KubernetesSettings, image: str, s3_endpoint_url: str | None) -> Job:
    """The template's spec with what the settings say, without what differs between folds."""
    spec = json.loads(json.dumps(template["spec"]))  # a deep copy
    pod = spec["template"]["spec"]
    container = next(c for c in pod["containers"] if c["name"] == CONTAINER)
    for owner, field, value in (
        (spec, "backoffLimit", settings.backoff_limit),
        # An attempt's: the Job's own runs while it waits for a GPU, and would fail folds that never had one.
        (pod, "activeDeadlineSeconds", settings.active_deadline_seconds),
        (spec, "ttlSecondsAfterFinished", settings.ttl_seconds_after_finished),
    ):
        if value is not None:
            owner[field] = value
    if settings.service_account:
        pod["serviceAccountName"] = settings.service_account
    if settings.priority_class:
        pod["priorityClassName"] = settings.priority_class
    if settings.node_selector:
        pod["nodeSelector"] = {**(pod.get("nodeSelector") or {}), **settings.node_selector}
    if settings.tolerations:
        pod["tolerations"] = [*(pod.get("tolerations") or []), *(one.fields() for one in settings.tolerations)]
    container["image"] = image
    container["resources"] = _resources(container.get("resources") or {}, settings)
    given = {"RUSTK_IMAGE": image, **({"AWS_ENDPOINT_URL_S3": s3_endpoint_url} if s3_endpoint_url else {})}
    env = {**given, **settings.env}
    container["env"] = [
        *(entry for entry in container.get("env") or [] if entry.get("name") not in env),
        *({"name": name, "value": value} for name, value in env.items()),
    ]
    if settings.secret:
        container["envFrom"] = [*(container.get("envFrom") or []), {"secretRef": {"name": settings.secret}}]
    common: Job = spec
    return common


def _suspended(settings: KubernetesSettings) -> bool | None:
    """A queue starts its Jobs itself, so they are made suspended unless the settings say otherwise."""
    return True if settings.suspend is None and settings.queue else settings.suspend


def _resources(resources: Mapping[str, Any], settings: KubernetesSettings) -> Job:
    requests, limits = dict(resources.get("requests") or {}), dict(resources.get("limits") or {})
    if settings.cpu:
        requests["cpu"] = settings.cpu
        # A limit below the request would be refused, and one that stays behind it would throttle.
        if "cpu" in limits:
            limits["cpu"] = settings.cpu
    if settings.memory:
        requests["memory"] = limits["memory"] = settings.memory
    if settings.gpus is not None:
        for kind in (requests, limits):
            kind.pop("nvidia.com/gpu", None)
            kind.pop(settings.gpu_resource, None)
        if settings.gpus:
            limits[settings.gpu_resource] = settings.gpus
    return {**resources, "requests": requests, "limits": limits}


def _with_task(spec: Job, labels: Mapping[str, str], arguments: list[str]) -> Job:
    """`spec` with a pod's own labels and arguments; everything else is shared, so that 10,000 Jobs stay small."""
    template = spec["template"]
    metadata = template.get("metadata") or {}
    containers = [
        {**container, "args": arguments} if container["name"] == CONTAINER else container
        for container in template["spec"]["containers"]
    ]
    return {
        **spec,
        "template": {
            **template,
            "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **labels}},
            "spec": {**template["spec"], "containers": containers},
        },
    }
