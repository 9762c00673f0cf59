"""What a Job template may not change: the meaning of a fold's end, and the labels and arguments that rustk sets."""

from collections.abc import Iterator, Mapping
from typing import Any

from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import FINAL_EXIT_CODES

CONTAINER = "fold"

_RESERVED_LABELS = (
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "app.kubernetes.io/component",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/managed-by",
    "kueue.x-k8s.io/queue-name",
)
_RESERVED_ENV = ("RUSTK_STORE", "RUSTK_IMAGE")
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# A crash, out of memory or killed, the store lost, a bad import, a shutdown: worth another try.
_PASSING_EXIT_CODES = (1, 75, 134, 137, 139, 143)


def template_faults(template: Any) -> list[str]:
    """Every way in which a parsed template breaks the contract; none: it can be used."""
    if not isinstance(template, dict):
        return ["expected one Job, as a mapping"]
    try:
        return list(_faults(template))
    except (AttributeError, TypeError) as error:
        # The API server's own validation would name the field; without the right shapes it can't be asked.
        return [f"a field has a value of the wrong kind ({error}): compare it with the k8s/fold-job.yaml of rustk"]


def _faults(template: Mapping[str, Any]) -> Iterator[str]:
    wrong = [
        f"{field}: missing: expected {expected}"
        if field not in template
        else f"{field} = {clip(template[field])}: expected {expected}"
        for field, expected in (("apiVersion", "batch/v1"), ("kind", "Job"))
        if template.get(field) != expected
    ]
    if wrong:
        yield from wrong
        return
    metadata = template.get("metadata") or {}
    spec = template.get("spec") or {}
    pod_template = spec.get("template") or {}
    pod = pod_template.get("spec") or {}
    for field in ("name", "generateName", "namespace"):
        if field in metadata:
            yield f"metadata.{field}: remove it: rustk names the Jobs, and kubernetes.namespace says where they go"
    yield from _label_faults("metadata", metadata)
    yield from _label_faults("spec.template.metadata", pod_template.get("metadata") or {})
    for field in ("parallelism", "completions"):
        if spec.get(field, 1) != 1:
            yield f"spec.{field} = {spec[field]}: expected 1: a Job is one batch of folds, in turn"
    if spec.get("podReplacementPolicy") != "Failed":
        yield (
            f"spec.podReplacementPolicy = {spec.get('podReplacementPolicy')}: expected Failed, "
            "or two pods may train one fold at a time"
        )
    if pod.get("restartPolicy") != "Never":
        yield (
            f"spec.template.spec.restartPolicy = {pod.get('restartPolicy')}: expected Never, "
            "or the exit codes never reach the Job"
        )
    yield from _container_faults(pod)
    yield from _policy_faults((spec.get("podFailurePolicy") or {}).get("rules") or [])


def _label_faults(where: str, metadata: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("labels", "annotations"):
        for name in metadata.get(kind) or {}:
            if name in _RESERVED_LABELS or str(name).startswith("rustk.dev/"):
                yield f"{where}.{kind}: {name} is set by rustk: remove it"


def _container_faults(pod: Mapping[str, Any]) -> Iterator[str]:
    containers = pod.get("containers") or []
    named = [container for container in containers if container.get("name") == CONTAINER]
    initial = [container.get("name") for container in pod.get("initContainers") or []]
    if len(named) != 1 or CONTAINER in initial:
        count = len(named) + initial.count(CONTAINER)
        yield f"spec.template.spec.containers: {count} containers are named {CONTAINER}: expected exactly one"
        return
    container = named[0]
    where = f"container {CONTAINER}"
    for field, instead in (("image", "set kubernetes.image"), ("args", "rustk says which fold to train")):
        if field in container:
            yield f"{where}: {field}: remove it: {instead}"
    if container.get("terminationMessagePolicy") != "FallbackToLogsOnError":
        yield (
            f"{where}: terminationMessagePolicy = {clip(container.get('terminationMessagePolicy'))}: "
            "expected FallbackToLogsOnError, or a failed fold does not say why"
        )
    for entry in container.get("env") or []:
        if entry.get("name") in _RESERVED_ENV:
            yield f"{where}: env: {entry['name']} is set by rustk: remove it"
        if entry.get("name") in CREDENTIALS and "value" in entry:
            yield f"{where}: env: {entry['name']} is a credential: put it in a Secret and set kubernetes.secret"
    resources = container.get("resources") or {}
    request = (resources.get("requests") or {}).get("memory")
    limit = (resources.get("limits") or {}).get("memory")
    if request != limit:
        yield (
            f"{where}: resources: memory is {request} in requests and {limit} in limits: "
            "expected the same, or a full node kills folds"
        )


def _policy_faults(rules: list[Mapping[str, Any]]) -> Iterator[str]:
    for code in FINAL_EXIT_CODES:
        action = _action_on_exit(code, rules)
        if action != "FailJob":
            yield (
                f"spec.podFailurePolicy: exit code {code} leads to {action}: "
                f"expected a rule FailJob onExitCodes In [65, 78] for container {CONTAINER}, "
                "or a fold that can't succeed is tried again and again"
            )
    for code in _PASSING_EXIT_CODES:
        action = _action_on_exit(code, rules)
        if action != "Count":
            yield f"spec.podFailurePolicy: exit code {code} leads to {action}: expected it to count for backoffLimit"
    if not any(rule.get("action") == "Ignore" and _is_disruption(rule) for rule in rules):
        yield (
            "spec.podFailurePolicy: expected a rule Ignore onPodConditions DisruptionTarget, "
            "or drains and preemption use up backoffLimit"
        )


def _action_on_exit(code: int, rules: list[Mapping[str, Any]]) -> str:
    """What the first rule that matches this exit code of the fold's container does; Kubernetes counts by default."""
    for rule in rules:
        on_exit = rule.get("onExitCodes")
        if not on_exit or on_exit.get("containerName", CONTAINER) != CONTAINER:
            continue
        listed = code in (on_exit.get("values") or [])
        if listed == (on_exit.get("operator") == "In"):
            return str(rule.get("action"))
    return "Count"


def _is_disruption(rule: Mapping[str, Any]) -> bool:
    return any(
        condition.get("type") == "DisruptionTarget" and condition.get("status", "True") == "True"
        for condition in rule.get("onPodConditions") or []
    )
