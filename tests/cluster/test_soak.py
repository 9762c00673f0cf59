"""A study again and again, while workers, controller, kubelet, API server and S3 server are killed at random instants.

Opt-in: RUSTK_TEST_SOAK_MINUTES=30 [RUSTK_TEST_SOAK_SEED=0] pytest tests/cluster/test_soak.py --log-cli-level=INFO
It kills parts of the node, so it needs RUSTK_TEST_STATE and RUSTK_TEST_UP as well (see conftest.py).
"""

import logging
import os
import random
import signal
import subprocess
import time
from collections import Counter

import pytest

from rustk.store import open_store

from .conftest import Node, Workplace, numbers
from .processes import worker_pids

LOG = logging.getLogger(__name__)
MINUTES = float(os.environ.get("RUSTK_TEST_SOAK_MINUTES", "0"))
SEED = int(os.environ.get("RUSTK_TEST_SOAK_SEED", "0"))
# A worker is what is killed most in practice; the parts of a node are away for a while each time.
VICTIMS = ("worker", "worker", "worker", "controller", "kubelet", "kube-apiserver", "s3")
RATES = [10.0**-power for power in range(1, 5)]
GRID = {"search": {"kind": "grid", "parameters": {"training.learning_rate": RATES}}}


class Soak:
    """Runs of one study, one after the other, with a controller that is started again whenever it is gone."""

    def __init__(self, workplace: Workplace, node: Node) -> None:
        self._workplace = workplace
        self._node = node
        self._random = random.Random(SEED)
        self._controller: subprocess.Popen[str] | None = None
        self._seen: dict[str, dict[str, bytes]] = {}
        self.killed: Counter[str] = Counter()
        self.runs: list[str] = []

    def begin(self) -> None:
        """Submit the study under the next name."""
        name = f"soak-{len(self.runs)}"
        study = self._workplace.study(name, **GRID)
        # Half of them as batches, and half as one Job a fold.
        batches = ("--folds-per-job", "3") if len(self.runs) % 2 else ()
        self._workplace.rustk("submit", study, *batches, "--max-live", "3")
        self.runs.append(self._workplace.run_of(name))

    def control(self) -> None:
        """Have a controller at work on the last run."""
        if self._controller is None or self._controller.poll() is not None:
            self.stop()
            self._workplace.rustk("submit", f"soak-{len(self.runs) - 1}.yaml", "--max-live", "3", "--retry-failed")
            self._controller = self._workplace.start("wait", self.runs[-1], "--max-live", "3")

    def kill(self) -> None:
        """Kill something, and start it again a few seconds later."""
        victim = self._random.choice(VICTIMS)
        if victim == "worker":
            pids = worker_pids(self.runs[-1])
            if not pids:
                return
            try:
                os.kill(self._random.choice(pids), self._random.choice((signal.SIGKILL, signal.SIGTERM)))
            except ProcessLookupError:
                return
        elif victim == "controller":
            if self._controller is None or self._controller.poll() is not None:
                return
            self._controller.kill()
            self._controller.communicate()
        else:
            self._node.kill(victim)
            time.sleep(self._random.uniform(0, 10))
            self._node.up()
        self.killed[victim] += 1
        LOG.info("%d: %s", self.killed.total(), victim)

    def is_complete(self) -> bool:
        """Whether the last run is; and what was written once has not changed."""
        run = self.runs[-1]
        now, before = self._workplace.histories(run), self._seen.get(run, {})
        assert {key: now[key] for key in before} == before
        self._seen[run] = now
        return len(now) == len(RATES) * 3

    def end(self) -> None:
        """Let the last run come to its end."""
        self._node.up()
        for _ in range(3):
            if self._workplace.rustk("wait", self.runs[-1], "--max-live", "3", "--timeout", "500", code=None).code == 0:
                break
            self._workplace.rustk("submit", f"soak-{len(self.runs) - 1}.yaml", "--max-live", "3", "--retry-failed")
        assert self.is_complete()
        self.stop()

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.kill()
            self._controller.communicate()  # closes its pipes, too
            self._controller = None

    def pause(self) -> None:
        time.sleep(self._random.uniform(2, 12))


@pytest.mark.skipif(MINUTES <= 0, reason="set RUSTK_TEST_SOAK_MINUTES")
@pytest.mark.timeout(60 * MINUTES + 2400)
def test_whatever_is_killed_the_tables_are_the_same(
    workplace: Workplace, node: Node, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here = open_store(str(tmp_path_factory.mktemp("undisturbed") / "store"))
    for entry in workplace.store.list("datasets/"):
        here.write(entry.key, workplace.store.read(entry.key))
    study = workplace.study("undisturbed-soak", **GRID)
    workplace.rustk("submit", study, "--name", "undisturbed", "--backend", "local", "--store", here.url)
    expected = numbers(here, "undisturbed")

    soak = Soak(workplace, node)
    soak.begin()
    deadline = time.monotonic() + 60 * MINUTES
    try:
        while time.monotonic() < deadline:
            soak.control()
            soak.pause()
            soak.kill()
            if soak.is_complete():
                soak.begin()
        soak.end()
    finally:
        soak.stop()
        LOG.info("%d kills in %d runs: %s", soak.killed.total(), len(soak.runs), dict(soak.killed))
    for run in soak.runs:
        assert workplace.numbers(run) == expected, run
    assert soak.killed
