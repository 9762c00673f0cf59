"""Many folds on simulated nodes. Opt-in: RUSTK_TEST_KWOK is the command that starts them, `--stop` added ends that.

RUSTK_TEST_FOLDS=10000 says how many folds (default 300); RUSTK_TEST_MAX_LIVE how many Jobs at a time.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from .conftest import ROOT, required

FOLDS = int(os.environ.get("RUSTK_TEST_FOLDS", "300"))
MAX_LIVE = int(os.environ.get("RUSTK_TEST_MAX_LIVE", "200"))
# Of a machine that does nothing else, a fold takes a tenth of a second.
SECONDS_A_FOLD = 2.0


@pytest.fixture(scope="module")
def nodes() -> Iterator[None]:
    command = os.environ.get("RUSTK_TEST_KWOK")
    if not command:
        pytest.skip("set RUSTK_TEST_KWOK to the command that starts simulated nodes")
    required("KUBECONFIG")
    subprocess.run(command, shell=True, check=True, capture_output=True)
    yield
    subprocess.run(f"{command} --stop", shell=True, check=True, capture_output=True)


@pytest.mark.timeout(1200 + 2 * SECONDS_A_FOLD * FOLDS)
@pytest.mark.parametrize("folds_per_job", [1, 20], ids=["one fold a Job", "batches"])
def test_a_disturbed_run_of_many_folds_loses_none_and_trains_none_twice(nodes: None, folds_per_job: int) -> None:
    words = [sys.executable, "bench/cluster.py", "--folds", str(FOLDS), "--max-live", str(MAX_LIVE)]
    words += ["--folds-per-job", str(folds_per_job), "--namespace", f"rustk-scale-{folds_per_job}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    result = json.loads(done.stdout[done.stdout.rindex("\n{\n") :])
    assert result["trained_once"] == result["histories"] == result["folds"]
    assert result["finished_submit_writes"] == 0
    assert sum(result["fates"].values()) > 0
