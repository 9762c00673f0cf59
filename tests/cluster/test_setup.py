"""What `kubectl apply -k k8s` gives, and what it does not."""

import json
from pathlib import Path

import pytest
import yaml

from .conftest import ROOT, Workplace, kubectl

ALLOWED = {
    "jobs.batch": {"create", "get", "list", "watch", "delete", "deletecollection"},
    "pods": {"list", "watch"},
    "pods/log": {"get"},
    "events": {"list"},
    "namespaces": {"get"},
}
RESOURCES = (*ALLOWED, "secrets", "pods/exec", "configmaps", "serviceaccounts/token", "roles.rbac.authorization.k8s.io")
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


def may(namespace: str, account: str, verb: str, resource: str) -> bool:
    kind, _, sub = resource.partition("/")
    who = f"--as=system:serviceaccount:{namespace}:{account}"
    what = [verb, kind, *([f"--subresource={sub}"] if sub else [])]
    return kubectl("auth", "can-i", *what, "-n", namespace, who, check=False).strip() == "yes"


def test_the_controller_may_do_what_it_needs_and_nothing_else(namespace: str) -> None:
    for resource in RESOURCES:
        granted = {verb for verb in VERBS if may(namespace, "rustk-controller", verb, resource)}
        assert granted == ALLOWED.get(resource, set()), resource


def test_the_controller_may_list_a_queue_s_workloads(namespace: str) -> None:
    """Asked of the API server itself: kubectl knows no kind of a Kueue that is not there."""

    def is_allowed(verb: str) -> bool:
        what = {"namespace": namespace, "group": "kueue.x-k8s.io", "resource": "workloads", "verb": verb}
        who = {"user": f"system:serviceaccount:{namespace}:rustk-controller", "resourceAttributes": what}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": who}
        answer = json.loads(kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(review)))
        return bool(answer["status"]["allowed"])

    assert {verb for verb in VERBS if is_allowed(verb)} == {"list"}


def test_the_controller_may_see_one_secret(namespace: str) -> None:
    assert may(namespace, "rustk-controller", "get", "secrets/rustk-store") is False  # that is a subresource
    who = f"--as=system:serviceaccount:{namespace}:rustk-controller"
    assert kubectl("auth", "can-i", "get", "secret/rustk-store", "-n", namespace, who, check=False).strip() == "yes"
    assert kubectl("auth", "can-i", "get", "secret/other", "-n", namespace, who, check=False).strip() == "no"


def test_the_controller_may_do_nothing_elsewhere(namespace: str) -> None:
    assert not may("default", "rustk-controller", "list", "jobs.batch")
    who = f"--as=system:serviceaccount:{namespace}:rustk-controller"
    for resource in ("nodes", "namespaces"):
        assert kubectl("auth", "can-i", "list", resource, who, check=False).strip() == "no"


def test_workers_may_do_nothing(namespace: str) -> None:
    for resource in RESOURCES:
        assert not [verb for verb in VERBS if may(namespace, "rustk-worker", verb, resource)], resource


def test_the_namespace_enforces_restricted(namespace: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "as-root"},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
    }
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        kubectl("-n", namespace, "create", "-f", "-", "--dry-run=server", stdin=json.dumps(pod))


def test_network_policies_bound_the_workers(namespace: str) -> None:
    items = json.loads(kubectl("-n", namespace, "get", "networkpolicies", "-o", "json"))["items"]
    policies = {item["metadata"]["name"]: item["spec"] for item in items}
    assert policies["rustk-no-ingress"]["podSelector"] == {}
    assert "ingress" not in policies["rustk-no-ingress"]
    egress = policies["rustk-worker-egress"]
    ports = {port["port"] for rule in egress["egress"] for port in rule["ports"]}
    assert ports == {53, 443, 9000}


@pytest.mark.parametrize("path", sorted((ROOT / "k8s" / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_taken(namespace: str, path: Path) -> None:
    for manifest in yaml.safe_load_all(path.read_text()):
        if manifest["apiVersion"].startswith("kueue"):
            pytest.skip("test_kueue.py tries it")
        manifest["metadata"]["namespace"] = namespace
        warned = kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest))
        assert "created" in warned


def test_a_folds_pod_mounts_no_token(workplace: Workplace) -> None:
    workplace.write_settings(suspend=True)
    workplace.rustk("submit", workplace.study("no-token"))
    (job, *_) = workplace.jobs(workplace.run_of("no-token"))
    pod = job["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == "rustk-worker"
    workplace.rustk("cancel", "no-token")
    workplace.write_settings()
