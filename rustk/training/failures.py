"""Why a worker gave a fold up, left in the store for `rustk status`."""

import json

from rustk.store import Store
from rustk.vocabulary import names
from rustk.vocabulary.errors import EXIT_BAD_DATA, EXIT_BAD_STUDY, RustkError


def record_failure(store: Store, run: str, trial: int, fold: int, error: RustkError) -> None:
    """Leave word of an error that trying again can't mend; of others nothing. Best effort."""
    if error.exit_code not in (EXIT_BAD_DATA, EXIT_BAD_STUDY):
        return
    fields = {"exit_code": error.exit_code, "message": str(error), "trial": trial, "fold": fold}
    try:
        store.write(names.failure_key(run, trial, fold), (json.dumps(fields) + "\n").encode())
    except RustkError:
        return
