"""Goes on with a run on this machine, with workers that make their folds up. argv: the directory of a store, a run."""

import sys

from rustk.backends.base import SubmitOptions
from rustk.backends.local import running
from rustk.backends.local.backend import LocalBackend
from rustk.store import open_store
from rustk.store.runs import load_plan
from rustk.vocabulary.settings import Settings


def main() -> None:
    store, run = open_store(sys.argv[1]), sys.argv[2]
    running.serve_command = lambda store_url, of_run: [  # type: ignore[assignment]
        sys.executable, "-m", "tests.backends.local.racing_worker", store_url, of_run
    ]  # fmt: skip
    LocalBackend(Settings(), store).submit(load_plan(store, run), SubmitOptions(workers=2), lambda event: None)


if __name__ == "__main__":
    main()
