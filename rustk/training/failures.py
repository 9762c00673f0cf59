"""Why a worker gave a fold up, left in the store for `rustk status`."""

from rustk.store import Store
from rustk.store.documents import Failure, now, write_document
from rustk.vocabulary import names
from rustk.vocabulary.errors import FINAL_EXIT_CODES, RustkError


def record_failure(store: Store, run: str, trial: int, fold: int, error: RustkError) -> None:
    """Leave word of an error that trying again can't mend; of others nothing. Best effort."""
    if error.exit_code not in FINAL_EXIT_CODES:
        return
    failure = Failure(trial=trial, fold=fold, exit_code=error.exit_code, message=str(error), failed_at=now())
    try:
        write_document(store, names.failure_key(run, trial, fold), failure)
    except RustkError:
        return
