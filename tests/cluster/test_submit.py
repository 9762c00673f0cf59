"""Creating, finding and deleting Jobs. Suspended ones, or ones that run a line of shell, so that it is quick."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from rustk.store import open_store
from rustk.vocabulary import names

from .conftest import FOLDS, Node, Workplace, eventually, kubeconfig_of, kubectl

GRID = {"search": {"kind": "grid", "parameters": {"training.learning_rate": [1e-1, 1e-2, 1e-3, 1e-4, 1e-5]}}}
BATCHES = ("--folds-per-job", "3")
Standin = Callable[[str], None]


@pytest.fixture
def suspended(workplace: Workplace) -> Workplace:
    workplace.write_settings(suspend=True)
    return workplace


def versions(workplace: Workplace, run: str) -> dict[str, str]:
    return {job["metadata"]["name"]: job["metadata"]["resourceVersion"] for job in workplace.jobs(run)}


def test_each_fold_has_one_job_and_a_second_submit_writes_nothing(suspended: Workplace) -> None:
    study = suspended.study("twice")
    suspended.rustk("submit", study)
    run = suspended.run_of("twice")
    before = versions(suspended, run)
    assert len(before) == FOLDS
    stored = suspended.store.list(f"runs/{run}/")
    again = suspended.rustk("submit", study)
    assert "0 Jobs created" in again.out
    assert f"{FOLDS} Jobs live" in again.out
    assert versions(suspended, run) == before
    assert suspended.store.list(f"runs/{run}/") == stored


def test_the_jobs_of_a_run_of_the_same_name_in_another_store_are_left_alone(suspended: Workplace) -> None:
    """Two people with one study and one dataset, each with a store, have runs of one name."""
    study = suspended.study("theirs")
    suspended.rustk("submit", study)
    run = suspended.run_of("theirs")
    before = versions(suspended, run)
    url = f"{suspended.store.url}-mine"
    mine = open_store(url)
    for entry in suspended.store.list("datasets/"):
        mine.write(entry.key, suspended.store.read(entry.key))
    refused = suspended.rustk("submit", study, "--store", url, code=1)
    said = f"has Jobs of a run {run} in another store, {suspended.store.url}: give this run another --name"
    assert said in refused.err
    assert mine.list("runs/") == []
    suspended.rustk("submit", study, "--store", url, "--name", "mine")
    mine.write(names.run_study_key(run), suspended.store.read(names.run_study_key(run)))
    assert "in another store" in suspended.rustk("cancel", run, "--store", url, code=1).err
    assert versions(suspended, run) == before


def test_jobs_are_found_by_the_documented_labels(suspended: Workplace) -> None:
    suspended.rustk("submit", suspended.study("labels"))
    run = suspended.run_of("labels")
    columns = kubectl(
        *("-n", suspended.namespace, "get", "jobs", "-l", f"rustk.dev/run={run},rustk.dev/trial=1"),
        *("-L", "rustk.dev/trial,rustk.dev/fold"),
    )
    assert columns.count(f"{run}-t0001-f0") == 3
    assert "TRIAL" in columns
    (job, *_) = suspended.jobs(run)
    assert job["metadata"]["labels"]["app.kubernetes.io/name"] == "rustk"
    assert job["metadata"]["labels"]["rustk.dev/study"] == "labels"


def test_a_batch_of_folds_is_one_job(suspended: Workplace) -> None:
    study = suspended.study("batches")
    suspended.rustk("submit", study, "--folds-per-job", "4")
    run = suspended.run_of("batches")
    jobs = sorted(suspended.jobs(run), key=lambda job: str(job["metadata"]["annotations"]["rustk.dev/tasks"]))
    assert [job["metadata"]["annotations"]["rustk.dev/tasks"] for job in jobs] == ["0/0,0/1,0/2,1/0", "1/1,1/2"]
    assert all(re.fullmatch(f"{run}-b[0-9a-f]{{8}}", job["metadata"]["name"]) for job in jobs)
    found = suspended.status(run)
    assert found["counts"]["pending"] == FOLDS
    assert {fold["reason"] for fold in found["unfinished"]} == {"suspended"}
    assert "0 Jobs created" in suspended.rustk("submit", study).out
    assert "2 Jobs are deleted" in suspended.rustk("cancel", run).out


def test_dry_runs_create_nothing_and_say_the_same_every_time(suspended: Workplace) -> None:
    study = suspended.study("dry")
    first = suspended.rustk("submit", study, "--dry-run", "-o", "yaml").out
    assert suspended.rustk("submit", study, "--dry-run=client", "-o", "yaml").out == first
    assert suspended.rustk("submit", study, "--dry-run=server", "-o", "yaml").out == first
    jobs = list(yaml.safe_load_all(first))
    assert len(jobs) == FOLDS
    run = jobs[0]["metadata"]["labels"]["rustk.dev/run"]
    assert suspended.jobs(run) == []
    assert suspended.store.list(f"runs/{run}/") == []
    # What it prints is what the API server takes.
    assert kubectl("create", "--dry-run=server", "-o", "name", "-f", "-", stdin=first).count("job.batch/") == FOLDS


def test_a_template_that_breaks_the_contract_creates_nothing(suspended: Workplace) -> None:
    template = yaml.safe_load((Path(__file__).parents[2] / "k8s" / "fold-job.yaml").read_text())
    del template["spec"]["podFailurePolicy"]
    (suspended.directory / "mine.yaml").write_text(yaml.safe_dump(template))
    suspended.write_settings(template="mine.yaml")
    refused = suspended.rustk("submit", suspended.study("broken"), code=78)
    assert "mine.yaml: spec.podFailurePolicy: exit code 65" in refused.err
    assert suspended.store.list("runs/broken") == []


def test_a_job_the_server_would_refuse_creates_nothing(suspended: Workplace) -> None:
    template = yaml.safe_load((Path(__file__).parents[2] / "k8s" / "fold-job.yaml").read_text())
    (container,) = template["spec"]["template"]["spec"]["containers"]
    container["resources"]["limits"]["ephemeral-storage"] = "a lot"
    (suspended.directory / "refused-template.yaml").write_text(yaml.safe_dump(template))
    suspended.write_settings(suspend=True, template="refused-template.yaml")
    refused = suspended.rustk("submit", suspended.study("refused"), code=1)
    assert refused.err.startswith("rustk: could not create jobs.batch")
    assert "quantities" in refused.err
    assert suspended.jobs(suspended.run_of("refused")) == []


def test_a_slip_in_the_template_is_refused(suspended: Workplace) -> None:
    template = (Path(__file__).parents[2] / "k8s" / "fold-job.yaml").read_text()
    (suspended.directory / "slip-template.yaml").write_text(template.replace("enableServiceLinks", "enableServiceLink"))
    suspended.write_settings(suspend=True, template="slip-template.yaml")
    refused = suspended.rustk("submit", suspended.study("slip"), code=1)
    assert 'unknown field "spec.template.spec.enableServiceLink"' in refused.err
    assert suspended.jobs(suspended.run_of("slip")) == []


def test_two_submits_at_once_make_one_job_a_fold(suspended: Workplace) -> None:
    study = suspended.study("at-once", **GRID)
    submits = [suspended.start("submit", study) for _ in range(2)]
    outs = [suspended.finish(submit).out for submit in submits]
    jobs = suspended.jobs(suspended.run_of("at-once"))
    assert len({job["metadata"]["name"] for job in jobs}) == len(jobs) == 15
    assert sum(int(re.findall(r"(\d+) Jobs? created", out)[0]) for out in outs) == 15


def test_a_name_taken_by_another_spec_is_an_error(suspended: Workplace) -> None:
    study = suspended.study("taken")
    rendered = suspended.rustk("submit", study, "--dry-run", "-o", "yaml").out
    job = next(yaml.safe_load_all(rendered))
    run = job["metadata"]["labels"].pop("rustk.dev/run")  # so that the list does not show it
    job["metadata"]["annotations"]["rustk.dev/spec-hash"] = "another"
    kubectl("create", "-f", "-", stdin=json.dumps(job))
    refused = suspended.rustk("submit", study, code=1)
    assert f"Job {run}-t0000-f00 is in namespace {suspended.namespace} already, with another spec" in refused.err


def test_a_full_quota_stops_it_and_submitting_later_goes_on(suspended: Workplace) -> None:
    study = suspended.study("quota", **GRID)
    used = len(json.loads(kubectl("-n", suspended.namespace, "get", "jobs", "-o", "json"))["items"])
    quota = ("-n", suspended.namespace, "quota", "few")
    kubectl("create", *quota, f"--hard=count/jobs.batch={used + 4}")
    try:
        # The quota controller needs a moment to count what is there.
        where = ("-n", suspended.namespace, "get", "resourcequota", "few", "-o", "jsonpath={.status.used}")
        eventually("the quota counts", lambda: str(used) in kubectl(*where))
        full = suspended.rustk("submit", study, code=1)
        assert "exceeded quota: few" in full.err
        assert "(4 of 15 Jobs were created; submit again when there is room)" in full.err
    finally:
        kubectl("-n", suspended.namespace, "delete", "quota", "few")
    assert "11 Jobs created" in suspended.rustk("submit", study).out
    assert len(suspended.jobs(suspended.run_of("quota"))) == 15


def test_without_the_role_it_says_what_is_missing(suspended: Workplace, tmp_path: Path) -> None:
    worker = kubeconfig_of("rustk-worker", suspended.namespace, tmp_path / "kubeconfig")
    refused = suspended.rustk("submit", suspended.study("forbidden"), code=1, kubeconfig=worker)
    for part in (
        "rustk-worker may not list jobs.batch",
        suspended.namespace,
        "Role rustk-controller",
        "k8s/controller",
    ):
        assert part in refused.err


def test_an_image_by_tag_is_refused_unless_allowed(suspended: Workplace) -> None:
    study = suspended.study("tag")
    refused = suspended.rustk("submit", study, "--image", "registry.example.org/worker:1", code=78)
    assert "expected a digest" in refused.err
    tagged = ("submit", study, "--image", "registry.example.org/worker:1", "--allow-tag", "--dry-run=server")
    suspended.rustk(*tagged)


def test_the_image_is_recorded(suspended: Workplace) -> None:
    suspended.rustk("submit", suspended.study("recorded"))
    run = suspended.run_of("recorded")
    (record,) = suspended.store.list(f"runs/{run}/submissions/")
    assert json.loads(suspended.store.read(record.key))["details"]["image"] == suspended.settings["image"]


@pytest.mark.parametrize(("name", "flags", "jobs"), [("cancelled", (), FOLDS), ("b-cancelled", BATCHES, FOLDS // 3)])
def test_cancel_deletes_jobs_and_pods_and_keeps_results(
    name: str, flags: tuple[str, ...], jobs: int, workplace: Workplace, standin: Standin
) -> None:
    standin("trap 'exit 143' TERM; sleep 600 & wait")
    workplace.rustk("submit", workplace.study(name), *flags)
    run = workplace.run_of(name)
    running = lambda: [pod for pod in workplace.pods(run) if pod["status"]["phase"] == "Running"]  # noqa: E731
    eventually("pods run", lambda: len(running()) == jobs)
    stored = workplace.store.list(f"runs/{run}/")
    assert f"{jobs} Jobs are deleted" in workplace.rustk("cancel", run).out
    assert workplace.jobs(run) == workplace.pods(run) == []
    assert workplace.store.list(f"runs/{run}/") == stored
    assert workplace.status(run)["counts"]["missing"] == FOLDS
    assert "0 Jobs are deleted" in workplace.rustk("cancel", run).out


def test_failed_folds_wait_for_retry_failed(workplace: Workplace, standin: Standin) -> None:
    standin("echo the reason >&2; exit 65")
    study = workplace.study("fails")
    workplace.rustk("submit", study)
    run = workplace.run_of("fails")
    ended = workplace.rustk("wait", run, code=1)
    assert f"{FOLDS} failed" in ended.err
    assert "trial 0 fold 0 (exit code 65: the reason)" in ended.err
    before = {job["metadata"]["uid"] for job in workplace.jobs(run)}
    left = workplace.rustk("submit", study)
    assert "0 Jobs created" in left.out
    assert "--retry-failed" in left.out
    assert {job["metadata"]["uid"] for job in workplace.jobs(run)} == before
    assert f"{FOLDS} Jobs created" in workplace.rustk("submit", study, "--retry-failed").out
    assert not before & {job["metadata"]["uid"] for job in workplace.jobs(run)}


def test_exit_codes_decide_about_another_attempt(workplace: Workplace, standin: Standin) -> None:
    standin('echo "in short"; case $T$F in 00) exit 65;; 01) exit 78;; 02) exit 75;; 10) exit 1;; *) exit 0;; esac')
    workplace.rustk("submit", workplace.study("codes"))
    run = workplace.run_of("codes")

    def attempts() -> dict[str, int]:
        return {j["metadata"]["name"][-8:]: j.get("status", {}).get("failed", 0) for j in workplace.jobs(run)}

    eventually("75 and 1 are tried again", lambda: attempts()["0000-f02"] >= 2 and attempts()["0001-f00"] >= 2)
    ends = [workplace.attempts(run, f"{run}-t0000-f{fold:02}") for fold in (0, 1)]
    assert attempts()["0000-f00"] == attempts()["0000-f01"] == 1, ends
    state = {(f["trial"], f["fold"]): f for f in workplace.status(run)["unfinished"]}
    assert state[0, 0]["state"] == state[0, 1]["state"] == "failed"
    assert state[0, 1]["reason"] == "exit code 78: in short"
    assert state[0, 2]["state"] in ("pending", "running")
    assert "exit code 75: in short" in state[0, 2]["reason"]
    # A Job that succeeded without leaving a history is no done fold.
    assert state[1, 1]["state"] == "no history"
    workplace.rustk("cancel", run)


def test_an_attempt_that_hangs_is_ended_by_its_deadline(workplace: Workplace, standin: Standin) -> None:
    standin("trap 'exit 143' TERM; sleep 600 & wait")
    few = {"active_deadline_seconds": 3, "backoff_limit": 0}
    workplace.write_settings(template="standin.yaml", gpus=0, cpu="10m", memory="32Mi", **few)
    workplace.rustk("submit", workplace.study("hangs", search=None))
    run = workplace.run_of("hangs")
    ended = workplace.rustk("wait", run, code=1)
    assert "3 failed: trial 0 fold 0 (an attempt took longer than 3 s on its node: raise kubernetes.active" in ended.err
    workplace.rustk("cancel", run)


def test_status_says_why_a_fold_waits(workplace: Workplace, standin: Standin) -> None:
    standin("exit 0")
    workplace.write_settings(template="standin.yaml", gpus=0, cpu="10m", memory="32Mi", node_selector={"no": "node"})
    workplace.rustk("submit", workplace.study("waits"))
    run = workplace.run_of("waits")
    waits = lambda: "didn't match Pod's node affinity" in json.dumps(workplace.status(run))  # noqa: E731
    eventually("the scheduler's message", waits, 30)
    assert "pending: 0/" in workplace.rustk("status", run).out
    workplace.rustk("cancel", run)


def test_max_live_bounds_the_jobs_in_the_cluster(workplace: Workplace, standin: Standin) -> None:
    standin("exit 65")
    study = workplace.study("bounded")
    first = workplace.rustk("submit", study, "--max-live", "2")
    assert "2 Jobs created" in first.out
    assert "4 more folds wait for room" in first.out
    run = workplace.run_of("bounded")
    ended = workplace.rustk("wait", run, "--max-live", "2", code=1)
    assert f"{FOLDS} failed" in ended.err
    assert len(workplace.jobs(run)) == FOLDS


def test_logs_follow_a_fold(workplace: Workplace, standin: Standin) -> None:
    standin("for n in 1 2 3; do echo line $n of $T $F; sleep 1; done; exit 65")
    workplace.rustk("submit", workplace.study("speaks"))
    run = workplace.run_of("speaks")

    def printed() -> str:
        return workplace.rustk("logs", run, "--trial", "1", "--fold", "2", "-f", code=None).out

    assert eventually("a log", printed) == "".join(f"line {n} of 1 2\n" for n in (1, 2, 3))
    assert "has no trial 9 fold 0" in workplace.rustk("logs", run, "--trial", "9", code=78).err
    workplace.rustk("cancel", run)


def test_the_doctor_finds_all_well_under_the_minimal_role(workplace: Workplace, tmp_path: Path) -> None:
    well = workplace.rustk("doctor").out
    assert "fail" not in well
    for line in ("ok    permissions", "ok    Secret", "ok    store ", "ok    dataset", "note  GPUs"):
        assert line in well
    worker = kubeconfig_of("rustk-worker", workplace.namespace, tmp_path / "kubeconfig")
    ill = workplace.rustk("doctor", code=1, kubeconfig=worker)
    assert "fail  permissions  you may not create jobs" in ill.out
    workplace.write_settings(secret="not-there")
    assert "note  Secret" in workplace.rustk("doctor").out  # the Role lets it look for rustk-store only
    lacking = workplace.rustk("doctor", code=1, kubeconfig=Path(os.environ["KUBECONFIG"]))
    assert "there is no Secret not-there" in lacking.out
    assert "ok    GPUs" in lacking.out
    workplace.write_settings()


def test_the_api_server_dies_in_the_middle_of_a_submit(suspended: Workplace, node: Node) -> None:
    # So many that the first is found, and the server killed, long before the last is made.
    many = {"search": {"kind": "grid", "parameters": {"training.learning_rate": [n / 1000 for n in range(1, 501)]}}}
    study = suspended.study("outage", **many)
    first = suspended.rustk("plan", study, "--json").out
    name = f"{json.loads(first)['run']}-t0000-f00"
    submit = suspended.start("submit", study)
    there = lambda: kubectl("-n", suspended.namespace, "get", "job", name, "-o", "name", check=False)  # noqa: E731
    eventually("the first Job is there", there, every=0.05)
    node.kill("kube-apiserver")
    assert submit.poll() is None
    node.up()
    suspended.finish(submit)
    run = suspended.run_of("outage")
    assert len(suspended.jobs(run)) == 1500
    suspended.rustk("cancel", run)


def test_the_folds_of_a_failed_batch_are_tried_again(workplace: Workplace, standin: Standin) -> None:
    standin("echo of $6 $8; exit 65")
    study = workplace.study("batch-fails")
    workplace.rustk("submit", study, "--folds-per-job", "2", "--max-live", "1")
    run = workplace.run_of("batch-fails")
    ended = workplace.rustk("wait", run, "--max-live", "1", code=1)
    assert f"{FOLDS} failed: trial 0 fold 0 (exit code 65: of 0/0 0/1)" in ended.err
    before = {job["metadata"]["uid"] for job in workplace.jobs(run)}
    assert f"{FOLDS} Jobs created" in workplace.rustk("submit", study, "--retry-failed").out
    assert not before & {job["metadata"]["uid"] for job in workplace.jobs(run)}
    workplace.rustk("cancel", run)
