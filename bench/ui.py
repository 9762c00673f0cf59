"""What the live page costs on a run of 10,000 folds: the first paint, an update, and what is asked of the store.

    python bench/ui.py [--trials 1000] [--folds 10]

Makes a run with that many histories of 20 epochs in a temporary directory, serves it, and measures over HTTP:

- first paint: the server's time for a run's page that nobody has looked at yet, and where Chromium is installed, the
  browser's own first contentful paint, beside that of a page of two letters;
- an update: the server's time for the page after a fold was done, all figures being known, and the CPU time that it
  takes; the CPU time of a look, which no reader waits for;
- the store: listings in a look with one reader and with fifty, and how often a history was read.

Fails beyond 1 s for the first paint, 200 ms for an update, or where more readers make more listings.
"""

import argparse
import json
import resource
import shutil
import socket
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

EPOCHS = 20
LIMIT_PAINT_SECONDS = 1.0
LIMIT_UPDATE_SECONDS = 0.2
READERS = 50
RUN = "search-bench000"


def make_run(store: Path, trials: int, folds: int) -> None:
    """Write a run whose every fold but the last is done."""
    import numpy as np
    import pyarrow as pa

    from rustk.vocabulary import names
    from rustk.vocabulary.parquet import encode_parquet

    rng = np.random.default_rng(0)
    planned = {"trials": trials, "folds": folds, "epochs": EPOCHS}
    described = {"schema": 1, "run": RUN, "study": {"name": "search"}, "planned": planned}
    rates = pa.table({"trial": np.arange(trials), "learning_rate": 10 ** rng.uniform(-5, -1, trials)})
    (store / "runs" / RUN).mkdir(parents=True)
    (store / names.trials_key(RUN)).write_bytes(encode_parquet(rates))
    (store / names.run_study_key(RUN)).write_text(json.dumps(described))
    for trial in range(trials):
        encoded = history(0.7 + 0.1 * rng.random())
        for fold in range(folds):
            path = store / names.history_key(RUN, trial, fold)
            path.parent.mkdir(parents=True, exist_ok=True)
            if (trial, fold) != (trials - 1, folds - 1):
                path.write_bytes(encoded)


def history(level: float) -> bytes:
    """A history that rises to this val_auroc."""
    import numpy as np
    import pyarrow as pa

    from rustk.store.documents import HistoryMetadata, encode_document
    from rustk.vocabulary.parquet import encode_parquet, with_metadata
    from rustk.vocabulary.schemas import HISTORY, METRICS, VAL_METRICS

    epochs = np.arange(1, EPOCHS + 1, dtype=np.int32)
    rising = 0.5 + (level - 0.5) * (1 - np.exp(-0.3 * epochs))
    columns = dict.fromkeys((*METRICS, *VAL_METRICS), rising)
    told = HistoryMetadata(outcome="completed", phases_seconds={"epochs": 12.0}, in_effect={"batch_size": 64})
    schema = with_metadata(HISTORY, encode_document(told))
    return encode_parquet(pa.table({"epoch": epochs, **columns, "seconds": rising}, schema=schema))


class Counting:
    """A directory store that counts what is asked of it."""

    def __init__(self, root: Path) -> None:
        from rustk.store import open_store

        self._store = open_store(str(root))
        self.url = self._store.url
        self.listed: Counter[str] = Counter()
        self.read_keys: Counter[str] = Counter()

    def list(self, prefix: str) -> Any:
        self.listed[prefix] += 1
        return self._store.list(prefix)

    def read(self, key: str) -> bytes:
        self.read_keys[key] += 1
        return self._store.read(key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def fetch(url: str) -> tuple[float, int]:
    """(seconds, bytes) of a page as the server sends it."""
    began = time.perf_counter()
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept-Encoding": "gzip"})) as answer:
        return time.perf_counter() - began, len(answer.read())


def painted(url: str) -> float | None:
    """Seconds to Chromium's first contentful paint; None where there is no Chromium."""
    path = shutil.which("chromium")
    if path is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(bypass_csp=True)  # waiting evaluates a string, which the page forbids
        page.goto(url)
        asked = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
        page.wait_for_function(asked)
        found = float(page.evaluate(asked)) / 1000
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--folds", type=int, default=10)
    arguments = parser.parse_args()

    import uvicorn

    from rustk.backends import open_backend
    from rustk.ui.hub import Hub
    from rustk.ui.server import make_app
    from rustk.vocabulary import names
    from rustk.vocabulary.settings import load_settings

    faults = []
    with tempfile.TemporaryDirectory(prefix="rustk-bench-") as folder:
        root = Path(folder)
        make_run(root, arguments.trials, arguments.folds)
        store = Counting(root)
        hub = Hub(store, open_backend(load_settings({"store": folder}), store))
        listening = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(make_app(hub), log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        page = f"{base}/runs/{RUN}"
        fetch(f"{base}/health")

        first, size = fetch(page)
        paint, empty = painted(page), painted(f"{base}/health")
        reading = [fetch(page)[0] for _ in range(20)]
        began = time.perf_counter()
        watch = hub.run(RUN)
        while watch.state().progress is None or watch.state().unread:
            time.sleep(0.2)
        read_all = time.perf_counter() - began
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        (root / names.history_key(RUN, arguments.trials - 1, arguments.folds - 1)).write_bytes(history(0.9))
        while not watch.state().progress.complete or watch.state().unread:  # type: ignore[union-attr]
            time.sleep(0.05)
        update, _ = fetch(page)
        again = fetch(page)[0]
        parts = [fetch(f"{page}?page={number}")[0] for number in range(2, 6)]
        cpu = time.thread_time()
        watch.look()  # by this thread, while nothing else goes on in it
        cpu = time.thread_time() - cpu

        histories = names.histories_prefix(RUN)

        def listings(readers: int) -> tuple[int, int]:
            """(looks, listings of the histories) in 10 seconds of this many readers, each asking every second."""
            looks, before = watch.state().version, store.listed[histories]
            until = time.monotonic() + 10
            while time.monotonic() < until:
                for _ in range(readers):
                    fetch(page)
                time.sleep(1)
            return watch.state().version - looks, store.listed[histories] - before

        alone, crowd = listings(1), listings(READERS)
        most = max(number for key, number in store.read_keys.items() if key.startswith(histories))
        hub.close()  # what is known stays: from here on this process does nothing but answer
        at = time.process_time()
        for number in range(2, 6):
            fetch(f"{page}?page={number}")
        answer_cpu = (time.process_time() - at) / 4
        server.should_exit = True
        thread.join()

    print(f"{arguments.trials} trials x {arguments.folds} folds, {EPOCHS} epochs each")
    print(f"first page, server               {first * 1e3:>8.0f} ms, {size / 1e3:.0f} kB compressed")
    if paint is not None and empty is not None:
        print(f"first contentful paint, Chromium {paint * 1e3:>8.0f} ms; of two letters {empty * 1e3:.0f} ms")
    print(f"a page while histories are read  {max(reading) * 1e3:>8.0f} ms at most of {len(reading)}")
    print(f"all histories read and averaged  {read_all:>8.1f} s, {memory:.0f} MB peak")
    print(f"an update, server                {update * 1e3:>8.0f} ms; asked again {again * 1e3:.0f} ms")
    print(f"another part of the matrix       {max(parts) * 1e3:>8.0f} ms at most")
    print(f"a page that nobody asked for yet {answer_cpu * 1e3:>8.0f} ms of CPU, the asking included")
    print(f"a look in the background         {cpu * 1e3:>8.0f} ms of CPU")
    print(f"listings in 10 s, 1 reader       {alone[1]:>8} in {alone[0]} looks")
    print(f"listings in 10 s, {READERS} readers     {crowd[1]:>8} in {crowd[0]} looks")
    print(f"reads of any one history         {most:>8} at most")
    if max(first, paint or 0.0) > LIMIT_PAINT_SECONDS:
        faults.append(f"first paint: expected at most {LIMIT_PAINT_SECONDS} s")
    if max(update, *parts) > LIMIT_UPDATE_SECONDS:
        faults.append(f"an update: expected at most {LIMIT_UPDATE_SECONDS} s")
    if crowd[1] > crowd[0] + 1 or most > 1:
        faults.append("the store is asked more than once for the same thing")
    if faults:
        sys.exit("; ".join(faults))


if __name__ == "__main__":
    main()
