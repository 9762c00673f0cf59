"""Jobs are rendered the same, byte for byte. `REGENERATE=1 pytest tests/backends/kubernetes` renews the golden files:
look at what git says has changed."""

import copy
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rustk.backends.base import AgainRequest, FinalRequest
from rustk.backends.kubernetes.job_contract import template_faults
from rustk.backends.kubernetes.manifests import (
    Job,
    JobSource,
    again_job_name,
    final_job_name,
    job_name,
    job_tasks,
    read_template,
    render_again_job,
    render_final_job,
    render_jobs,
    spec_hash,
    to_yaml,
)
from rustk.planning.batches import make_batches
from rustk.vocabulary.errors import BadStudy
from rustk.vocabulary.resources import resource_dir
from rustk.vocabulary.settings import KubernetesSettings

GOLDEN = Path(__file__).parent / "golden"
IMAGE = "registry.example.org/rustk-worker@sha256:" + "0" * 64

SETTINGS = {
    "defaults": KubernetesSettings(),
    "on-cpu": KubernetesSettings(gpus=0, cpu="2", memory="3Gi", secret="", max_live=4),
    "all-set": KubernetesSettings(
        namespace="team-a",
        gpus=2,
        gpu_resource="amd.com/gpu",
        cpu="4",
        memory="16Gi",
        node_selector={"pool": "gpu"},
        tolerations=[{"key": "pool", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}],
        priority_class="research",
        queue="rustk",
        suspend=True,
        secret="s3-of-team-a",
        service_account="team-a-worker",
        env={"RUSTK_THREADS": "4"},
        backoff_limit=6,
        active_deadline_seconds=3600,
        ttl_seconds_after_finished=60,
    ),
}


def shipped() -> Job:
    source = resource_dir("k8s") / "fold-job.yaml"
    return read_template(source.read_text(encoding="utf-8"), "k8s/fold-job.yaml")


def rendered(
    settings: KubernetesSettings,
    tasks: list[tuple[int, int]],
    template: Job | None = None,
    run: str = "regime2-1a2b3c4d",
) -> list[Job]:
    return render_jobs(source(settings, template, run), make_batches(tasks))


def source(settings: KubernetesSettings, template: Job | None = None, run: str = "regime2-1a2b3c4d") -> JobSource:
    return JobSource(
        template=template or shipped(),
        settings=settings,
        run=run,
        study="regime2",
        store_url="s3://bucket/prefix",
        image=IMAGE,
        version="0.0.0",
        s3_endpoint_url="https://s3.example.org",
    )


@pytest.mark.parametrize("name", [*SETTINGS, "batch"])
def test_jobs_are_the_golden_ones(name: str) -> None:
    if name == "batch":
        jobs = render_jobs(source(SETTINGS["defaults"]), [((7, 3), (7, 4), (8, 0))])
    else:
        jobs = rendered(SETTINGS[name], [(0, 0), (7, 3)])
    text = to_yaml(jobs)
    golden = GOLDEN / f"jobs-{name}.yaml"
    if os.environ.get("REGENERATE"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_the_yaml_is_the_jobs() -> None:
    jobs = rendered(SETTINGS["all-set"], [(0, 0), (0, 1)])
    assert list(yaml.safe_load_all(to_yaml(jobs))) == jobs


def test_rendering_leaves_the_template_as_it_was() -> None:
    template = shipped()
    before = copy.deepcopy(template)
    rendered(SETTINGS["all-set"], [(0, 0)], template)
    assert template == before


def test_the_hash_follows_the_spec_and_nothing_else() -> None:
    (first, second) = rendered(KubernetesSettings(), [(0, 0), (0, 1)])
    (queued,) = rendered(KubernetesSettings(queue="other"), [(0, 0)])
    (larger,) = rendered(KubernetesSettings(memory="9Gi"), [(0, 0)])
    assert spec_hash(first) == spec_hash(queued)
    assert "suspend" not in first["spec"]
    assert queued["spec"]["suspend"] is True
    (started,) = rendered(KubernetesSettings(queue="other", suspend=False), [(0, 0)])
    assert started["spec"]["suspend"] is False
    assert len({spec_hash(first), spec_hash(second), spec_hash(larger)}) == 3


def test_a_job_stays_small() -> None:
    (job,) = rendered(SETTINGS["all-set"], [(9999, 99)])
    assert len(to_yaml([job]).encode()) < 4096


def test_no_job_holds_a_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "the-credential-itself")
    text = to_yaml(rendered(KubernetesSettings(), [(0, 0)]))
    assert "the-credential-itself" not in text
    assert "AWS_SECRET_ACCESS_KEY" not in text


def test_a_pod_bears_what_it_is_selected_by_and_the_templates_own_labels() -> None:
    template = shipped()
    template["metadata"] = {"labels": {"team": "jobs"}}
    template["spec"]["template"]["metadata"] = {"labels": {"team": "pods"}}
    (job,) = rendered(KubernetesSettings(), [(1, 2)], template)
    pod = job["spec"]["template"]["metadata"]["labels"]
    assert pod == {
        "team": "pods",
        "app.kubernetes.io/name": "rustk",
        "app.kubernetes.io/component": "fold",
        "rustk.dev/run": "regime2-1a2b3c4d",
        "rustk.dev/trial": "1",
        "rustk.dev/fold": "2",
    }
    labels = job["metadata"]["labels"]
    assert labels.pop("team") == "jobs"
    assert {name: labels[name] for name in pod if name != "team"}.items() <= pod.items()
    assert len(labels) == 10


def test_more_environment_wins_over_the_templates() -> None:
    template = shipped()
    fold = template["spec"]["template"]["spec"]["containers"][0]
    fold["env"] = [{"name": "RUSTK_THREADS", "value": "1"}, {"name": "OTHER", "value": "kept"}]
    (job,) = rendered(KubernetesSettings(env={"RUSTK_THREADS": "8"}), [(0, 0)], template)
    env = {entry["name"]: entry["value"] for entry in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["RUSTK_THREADS"] == "8"
    assert env["OTHER"] == "kept"


def test_the_final_job_is_a_folds_but_for_its_name_labels_and_arguments() -> None:
    made = source(SETTINGS["all-set"])
    (fold,) = render_jobs(made, [((0, 0),)])
    final = render_final_job(made, FinalRequest(given_trial=7, again="a reviewer asked", with_images=True))
    assert final["metadata"]["name"] == final_job_name(made.run) == "regime2-1a2b3c4d-final"
    assert final["metadata"]["labels"]["app.kubernetes.io/component"] == "final"
    # status, submit and logs look for folds: this is none.
    assert job_tasks(final) == ()
    (container,) = final["spec"]["template"]["spec"]["containers"]
    given = ["--trial", "7", "--again", "a reviewer asked", "--with-images"]
    assert container["args"] == ["final", "--store", "s3://bucket/prefix", "--run", made.run, *given]
    assert spec_hash(final) not in (spec_hash(fold), spec_hash(render_final_job(made, FinalRequest(given_trial=7))))
    for job in (fold, final):
        container = job["spec"]["template"]["spec"]["containers"][0]
        del job["metadata"], job["spec"]["template"]["metadata"], container["args"]
    assert final == fold
    assert len(final_job_name("a" * 63)) <= 52


def test_a_fold_trained_again_has_a_job_that_is_no_folds() -> None:
    made = source(SETTINGS["all-set"])
    again = render_again_job(made, AgainRequest(7, 3, 2))
    assert again["metadata"]["name"] == "regime2-1a2b3c4d-t0007-f03-again2"
    assert job_tasks(again) == ()
    (container,) = again["spec"]["template"]["spec"]["containers"]
    assert container["args"] == [
        *("again", "--store", "s3://bucket/prefix", "--run", made.run, "--task", "7/3", "--number", "2")
    ]
    assert len(again_job_name("a" * 63, AgainRequest(9999, 99, 99))) <= 52


def test_the_network_policy_bounds_every_worker() -> None:
    made = source(SETTINGS["defaults"])
    policies = yaml.safe_load_all((resource_dir("k8s") / "network.yaml").read_text())
    (egress,) = [policy["spec"] for policy in policies if "Egress" in policy["spec"]["policyTypes"]]
    (selected,) = egress["podSelector"]["matchExpressions"]
    assert selected["operator"] == "In"
    for job in (
        *render_jobs(made, [((0, 0),)]),
        render_again_job(made, AgainRequest(0, 0, 1)),
        render_final_job(made, FinalRequest()),
    ):
        assert job["spec"]["template"]["metadata"]["labels"][selected["key"]] in selected["values"]


@given(
    run=st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True),
    trial=st.integers(0, 10**6),
    fold=st.integers(0, 999),
)
def test_names_fit_and_are_names(run: str, trial: int, fold: int) -> None:
    for batch in (((trial, fold),), ((trial, fold), (trial, fold + 1))):
        name = job_name(run, batch)
        assert len(name) <= 52
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
        if len(run) <= 40:
            assert name.startswith(run)


def test_long_runs_that_differ_at_the_end_have_names_that_differ() -> None:
    assert job_name("a" * 60 + "-1", ((0, 0),)) != job_name("a" * 60 + "-2", ((0, 0),))


def test_the_labels_name_the_fold() -> None:
    (job,) = rendered(KubernetesSettings(), [(12, 5)])
    assert job_tasks(job) == ((12, 5),)
    assert job_tasks(job["spec"]["template"]) == ((12, 5),)
    assert job_tasks({"metadata": {"labels": {"rustk.dev/trial": "x", "rustk.dev/fold": "1"}}}) == ()


def test_a_batch_names_its_folds() -> None:
    made = source(KubernetesSettings())
    batch = ((7, 3), (7, 4), (8, 0))
    (job,) = render_jobs(made, [batch])
    assert re.fullmatch(r"regime2-1a2b3c4d-b[0-9a-f]{8}", job["metadata"]["name"])
    assert job["metadata"]["annotations"]["rustk.dev/tasks"] == "7/3,7/4,8/0"
    assert job_tasks(job) == batch
    labels = job["metadata"]["labels"]
    assert labels["rustk.dev/run"] == made.run
    assert not {"rustk.dev/trial", "rustk.dev/fold"} & {*labels, *job["spec"]["template"]["metadata"]["labels"]}
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert arguments[-6:] == ["--task", "7/3", "--task", "7/4", "--task", "8/0"]
    assert job_name(made.run, batch[:2]) != job_name(made.run, batch)


@pytest.mark.parametrize("tasks", ["", "7", "7/3,", "a/b", "7/3/1"])
def test_a_damaged_annotation_names_no_fold(tasks: str) -> None:
    assert job_tasks({"metadata": {"annotations": {"rustk.dev/tasks": tasks}}}) == ()


def container(template: Job) -> dict[str, Any]:
    found: dict[str, Any] = template["spec"]["template"]["spec"]["containers"][0]
    return found


def rules(template: Job) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = template["spec"]["podFailurePolicy"]["rules"]
    return found


BREAKS = {
    "another kind": (lambda t: t.update(kind="Pod"), "mine.yaml: kind = 'Pod': expected Job"),
    "another version": (lambda t: t.update(apiVersion="v1"), "mine.yaml: apiVersion = 'v1': expected batch/v1"),
    "no version": (lambda t: t.pop("apiVersion"), "mine.yaml: apiVersion: missing: expected batch/v1"),
    "neither": (
        lambda t: (t.pop("apiVersion"), t.pop("kind")),
        "mine.yaml: apiVersion: missing: expected batch/v1; kind: missing: expected Job",
    ),
    "a name": (lambda t: t.update(metadata={"name": "mine"}), "metadata.name: remove it"),
    "a label of rustk's": (
        lambda t: t.update(metadata={"labels": {"rustk.dev/run": "x"}}),
        "metadata.labels: rustk.dev/run is set by rustk",
    ),
    "a pod label of rustk's": (
        lambda t: t["spec"]["template"].update(metadata={"labels": {"app.kubernetes.io/component": "x"}}),
        "spec.template.metadata.labels: app.kubernetes.io/component is set by rustk",
    ),
    "two pods": (lambda t: t["spec"].update(parallelism=2), "spec.parallelism = 2: expected 1"),
    "early replacement": (
        lambda t: t["spec"].update(podReplacementPolicy="TerminatingOrFailed"),
        "spec.podReplacementPolicy = TerminatingOrFailed: expected Failed",
    ),
    "restarts": (
        lambda t: t["spec"]["template"]["spec"].update(restartPolicy="OnFailure"),
        "restartPolicy = OnFailure: expected Never",
    ),
    "no container": (lambda t: container(t).update(name="main"), "0 containers are named fold"),
    "two containers": (
        lambda t: t["spec"]["template"]["spec"]["containers"].append({"name": "fold"}),
        "2 containers are named fold",
    ),
    "an init container of the name": (
        lambda t: t["spec"]["template"]["spec"].update(initContainers=[{"name": "fold"}]),
        "2 containers are named fold",
    ),
    "an image": (lambda t: container(t).update(image="mine"), "container fold: image: remove it"),
    "arguments": (lambda t: container(t).update(args=["serve"]), "container fold: args: remove it"),
    "no last words": (
        lambda t: container(t).pop("terminationMessagePolicy"),
        "terminationMessagePolicy = null: expected FallbackToLogsOnError",
    ),
    "the store in the environment": (
        lambda t: container(t).update(env=[{"name": "RUSTK_STORE", "value": "x"}]),
        "env: RUSTK_STORE is set by rustk",
    ),
    "a credential in the environment": (
        lambda t: container(t).update(env=[{"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}]),
        "AWS_SECRET_ACCESS_KEY is a credential",
    ),
    "less memory requested": (
        lambda t: container(t)["resources"]["requests"].update(memory="1Gi"),
        "memory is 1Gi in requests and 8Gi in limits",
    ),
    "no exit codes": (lambda t: rules(t).pop(), "exit code 65 leads to Count"),
    "an exit code less": (
        lambda t: rules(t)[1]["onExitCodes"].update(values=[65]),
        "exit code 78 leads to Count",
    ),
    "an exit code more": (
        lambda t: rules(t)[1]["onExitCodes"].update(values=[65, 75, 78]),
        "exit code 75 leads to FailJob: expected it to count",
    ),
    "all other exit codes": (
        lambda t: rules(t)[1]["onExitCodes"].update(operator="NotIn", values=[0]),
        "exit code 143 leads to FailJob",
    ),
    "an earlier rule": (
        lambda t: rules(t).insert(0, {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [65]}}),
        "exit code 65 leads to Ignore",
    ),
    "disruptions that count": (lambda t: rules(t).pop(0), "expected a rule Ignore onPodConditions DisruptionTarget"),
    "rules that are no list": (
        lambda t: t["spec"].update(podFailurePolicy={"rules": "none"}),
        "a field has a value of the wrong kind",
    ),
}


@pytest.mark.parametrize("what", BREAKS)
def test_a_template_that_breaks_the_contract_is_refused(what: str) -> None:
    edit, message = BREAKS[what]
    template = shipped()
    edit(template)
    with pytest.raises(BadStudy) as refused:
        read_template(yaml.safe_dump(template), "mine.yaml")
    assert message in str(refused.value)
    assert str(refused.value).startswith("mine.yaml: ")
    assert "\n" not in str(refused.value)


def test_every_fault_is_told() -> None:
    template = shipped()
    template["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    container(template)["image"] = "mine"
    assert len(template_faults(template)) == 2
    with pytest.raises(BadStudy) as refused:
        read_template(yaml.safe_dump(template), "mine.yaml")
    assert "restartPolicy = OnFailure" in str(refused.value)
    assert "container fold: image" in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "a list", "- a", "kind: [", "kind: Job", "apiVersion: batch/v1\nkind: Job\nspec: 3"]
)
def test_what_is_no_job_is_refused(text: str) -> None:
    with pytest.raises(BadStudy, match=r"^mine\.yaml"):
        read_template(text, "mine.yaml")


def harmless_edits(template: Job) -> None:
    pod = template["spec"]["template"]["spec"]
    template["metadata"] = {"labels": {"team": "bones"}, "annotations": {"owner": "me"}}
    pod["containers"].append({"name": "sidecar", "image": "x"})
    pod["volumes"].append({"name": "cache", "emptyDir": {}})
    container(template)["env"] = [{"name": "AWS_SECRET_ACCESS_KEY", "valueFrom": {"secretKeyRef": {"name": "s"}}}]


def test_other_edits_are_kept() -> None:
    template = shipped()
    harmless_edits(template)
    (job,) = rendered(KubernetesSettings(), [(0, 0)], read_template(yaml.safe_dump(template), "mine.yaml"))
    pod = job["spec"]["template"]["spec"]
    assert job["metadata"]["labels"]["team"] == "bones"
    assert job["metadata"]["annotations"]["owner"] == "me"
    assert [c["name"] for c in pod["containers"]] == ["fold", "sidecar"]
    assert "args" not in pod["containers"][1]
    assert pod["volumes"][-1]["name"] == "cache"
