"""The example that runs the live page in a cluster: what it may do, and who reaches it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

READING = {"get", "list", "watch"}


@pytest.fixture
def objects(repository: Path) -> dict[str, dict[str, Any]]:
    text = (repository / "k8s/examples/live-page.yaml").read_text()
    return {found["kind"]: found for found in yaml.safe_load_all(text)}


def rights(role: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_it_may_read_what_the_controller_reads_and_change_nothing(
    objects: dict[str, dict[str, Any]], repository: Path
) -> None:
    documents = yaml.safe_load_all((repository / "k8s/controller.yaml").read_text())
    controller = next(found for found in documents if found["kind"] == "Role")
    own = rights(objects["Role"])
    assert own <= {right for right in rights(controller) if right[2] in READING}
    assert {("batch", "jobs", "watch"), ("", "pods", "watch"), ("", "pods/log", "get"), ("", "events", "list")} <= own
    assert not any(resource == "secrets" for _, resource, _ in own)
    account = {"kind": "ServiceAccount", "name": "rustk-ui", "namespace": "rustk"}
    assert objects["RoleBinding"]["subjects"] == [account]
    assert objects["RoleBinding"]["roleRef"]["name"] == objects["Role"]["metadata"]["name"]
    assert objects["Deployment"]["spec"]["template"]["spec"]["serviceAccountName"] == "rustk-ui"


def test_it_meets_the_restricted_standard(objects: dict[str, dict[str, Any]]) -> None:
    """As https://kubernetes.io/docs/concepts/security/pod-security-standards/ has it."""
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert all(set(volume) & {"configMap", "emptyDir"} for volume in pod["volumes"])
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert "ports" not in container or all("hostPort" not in port for port in container["ports"])


def test_nothing_but_a_forwarded_port_reaches_it(objects: dict[str, dict[str, Any]]) -> None:
    """It listens on its pod's own address, which the settings' default is: no flag says otherwise."""
    assert set(objects) == {"ServiceAccount", "Role", "RoleBinding", "Deployment"}
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["ui"]
    assert "exec" in container["readinessProbe"]


def test_the_controllers_image_has_its_packages(repository: Path) -> None:
    dockerfile = (repository / "images/controller.Dockerfile").read_text()
    assert "--requirement pyproject.toml --extra ui" in dockerfile
