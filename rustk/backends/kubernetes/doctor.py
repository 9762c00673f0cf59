"""Is this cluster ready for folds? One line a check: all well, or what to do."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from rustk.backends.base import Check, skew_check
from rustk.backends.kubernetes.client import METADATA_ONLY, Cluster, encode
from rustk.backends.kubernetes.errors import ROLE_FILE, NotAllowed, NotFound
from rustk.backends.kubernetes.rendering import pinned_image, template_of
from rustk.vocabulary.errors import BackendFailed, BadStudy
from rustk.vocabulary.settings import KubernetesSettings

# Every verb that a command needs; the Role of k8s/ grants these and no others.
NEEDED = (
    ("batch", "jobs", ("create", "get", "list", "watch", "delete", "deletecollection")),
    ("", "pods", ("list", "watch")),
    ("", "pods/log", ("get",)),
    ("", "events", ("list",)),
)
# podReplacementPolicy and podFailurePolicy are both there, and on by default, from this minor version of 1.x on.
_OLDEST_MINOR = 29
_ASK_SECONDS = 5.0


def check_cluster(cluster: Cluster, settings: KubernetesSettings) -> Iterator[Check]:
    """Look at the connection, the namespace and what it grants; stops after a server that does not answer."""
    yield Check("ok", "kubeconfig", f"{cluster.server}, from {cluster.source}")
    try:
        version = cluster.request("GET", "/version", asked="ask for the version", retry_for_seconds=_ASK_SECONDS)
    except BackendFailed as error:
        yield Check("fail", "API server", str(error))
        return
    yield _version_check(str(version.get("gitVersion", "")), str(version.get("minor", "")))
    checks: tuple[Callable[[Cluster, KubernetesSettings], Check], ...] = (
        _namespace_check,
        _permissions_check,
        _gpu_check,
        _secret_check,
        _clock_check,
    )
    for check in checks:
        try:
            yield check(cluster, settings)
        except BackendFailed as error:
            yield Check("fail", check.__name__.strip("_").removesuffix("_check"), str(error))


def check_settings(settings: KubernetesSettings) -> Iterator[Check]:
    """Look at what needs no cluster: the worker's image and the Job template."""
    try:
        yield Check("ok", "image", pinned_image(settings.image, allow_tag=False))
    except BadStudy as error:
        yield Check("fail", "image", str(error))
    try:
        template_of(settings)
        yield Check("ok", "Job template", settings.template or "k8s/fold-job.yaml, as it came with rustk")
    except BadStudy as error:
        yield Check("fail", "Job template", str(error))


def _version_check(version: str, minor: str) -> Check:
    number = re.match(r"\d+", minor)
    if number and int(number[0]) < _OLDEST_MINOR:
        return Check(
            "fail",
            "API server",
            f"Kubernetes {version}: expected 1.{_OLDEST_MINOR} or newer, for podFailurePolicy and podReplacementPolicy",
        )
    return Check("ok", "API server", f"Kubernetes {version}")


def _namespace_check(cluster: Cluster, settings: KubernetesSettings) -> Check:
    name = settings.namespace
    try:
        found = cluster.request("GET", f"/api/v1/namespaces/{name}", asked=f"get namespace {name}")
    except NotFound:
        return Check(
            "fail", "namespace", f"there is no namespace {name}: kubectl apply -k k8s, or set kubernetes.namespace"
        )
    except NotAllowed as error:
        return Check("fail", "namespace", str(error))
    level = (found["metadata"].get("labels") or {}).get("pod-security.kubernetes.io/enforce", "not enforced")
    return Check("ok", "namespace", f"{name}, pod security {level}")


def _permissions_check(cluster: Cluster, settings: KubernetesSettings) -> Check:
    refused = [
        f"{verb} {resource}"
        for group, resource, verbs in NEEDED
        for verb in verbs
        if not _may(cluster, group, resource, verb)
    ]
    if refused:
        return Check(
            "fail",
            "permissions",
            f"you may not {', '.join(refused)} in namespace {cluster.namespace}: the Role rustk-controller of "
            f"{ROLE_FILE} grants it: kubectl -n {cluster.namespace} create rolebinding rustk-me "
            "--role=rustk-controller --user=YOU",
        )
    return Check("ok", "permissions", f"all that rustk needs in namespace {cluster.namespace}")


def _may(cluster: Cluster, group: str, resource: str, verb: str, *, everywhere: bool = False) -> bool:
    resource, _, sub = resource.partition("/")
    asked_for = {"group": group, "resource": resource, "subresource": sub, "verb": verb}
    if not everywhere:
        asked_for["namespace"] = cluster.namespace
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked_for},
    }
    answer = cluster.request(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        asked="ask what you may do",
        body=encode(review),
    )
    return bool((answer.get("status") or {}).get("allowed"))


def _gpu_check(cluster: Cluster, settings: KubernetesSettings) -> Check:
    resource = settings.gpu_resource
    if settings.gpus == 0:
        return Check("ok", "GPUs", "none asked for: folds train on the CPU")
    if not _may(cluster, "", "nodes", "list", everywhere=True):
        return Check(
            "note",
            "GPUs",
            f"you may not list nodes (folds need not): ask who may: kubectl describe nodes | grep {resource}",
        )
    nodes, _ = cluster.list_objects("/api/v1/nodes", asked="list nodes")
    with_gpus = [node for node in nodes if int(node["status"].get("allocatable", {}).get(resource, 0)) > 0]
    total = sum(int(node["status"]["allocatable"][resource]) for node in with_gpus)
    if total < (settings.gpus or 1):
        return Check(
            "fail",
            "GPUs",
            f"{total} of {resource} in {len(nodes)} nodes: install the device plugin, or set kubernetes.gpus = 0",
        )
    return Check("ok", "GPUs", f"{total} of {resource} in {len(with_gpus)} of {len(nodes)} nodes")


def _secret_check(cluster: Cluster, settings: KubernetesSettings) -> Check:
    if not settings.secret:
        return Check("note", "Secret", "none: workers reach the store by the cloud identity of their ServiceAccount")
    name = settings.secret
    try:
        cluster.request(
            "GET",
            cluster.core("secrets", name),
            asked=f"get secret {name} in namespace {cluster.namespace}",
            accept=METADATA_ONLY,
        )
    except NotFound:
        return Check(
            "fail",
            "Secret",
            f"there is no Secret {name} in namespace {cluster.namespace}: kubectl -n {cluster.namespace} create secret "
            f'generic {name} --from-literal=AWS_ACCESS_KEY_ID="$AWS_ACCESS_KEY_ID" '
            '--from-literal=AWS_SECRET_ACCESS_KEY="$AWS_SECRET_ACCESS_KEY"',
        )
    except NotAllowed:
        return Check("note", "Secret", f"you may not look whether {name} is there (folds need not)")
    return Check("ok", "Secret", f"{name} is there")


def _clock_check(cluster: Cluster, settings: KubernetesSettings) -> Check:
    return skew_check("clock", "the API server", cluster.clock(), datetime.now(UTC))
