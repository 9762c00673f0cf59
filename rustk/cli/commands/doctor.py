"""`rustk doctor`: is everything there that a run needs?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from rustk.cli.backend_options import BackendOption, NamespaceOption, backend_from, on_cluster
from rustk.cli.context import DatasetOption, StoreOption, dataset_from, settings, store_from
from rustk.vocabulary.errors import RustkError
from rustk.vocabulary.wording import counted

if TYPE_CHECKING:
    from rustk.backends.base import Check
    from rustk.store import Store
    from rustk.vocabulary.settings import Settings

_PROBE = "rustk-doctor-probe"


def doctor(
    dataset: DatasetOption = None,
    backend: BackendOption = None,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
) -> None:
    """Check the backend, the store, and its datasets and weights; each line says ok, note, or fail with what to do."""
    current = settings(store=store, dataset=dataset, backend=backend, kubernetes=on_cluster(namespace))
    opened = store_from(current)
    used = backend_from(current, opened, namespace=namespace)
    failed = 0
    for checks in (used.check(), _store_checks(opened, current)):
        for check in checks:
            failed += check.verdict == "fail"
            typer.echo(f"{check.verdict:<5} {check.what:<12} {check.found}")
    if failed:
        raise RustkError(f"{counted(failed, 'check')} failed")


def _store_checks(opened: "Store", current: "Settings") -> "Iterator[Check]":
    from rustk.backends.base import Check
    from rustk.store.datasets import check_sizes, check_unchanged, read_dataset
    from rustk.store.weights import list_weights

    try:
        yield from _access_checks(opened)
    except RustkError as error:
        yield Check("fail", "store", str(error))
        return
    try:
        described = read_dataset(opened, dataset_from(opened, current.dataset))
        check_unchanged(described)
        check_sizes(opened, described)
        counts = ", ".join(f"{count} {split}" for split, count in described.counts.items())
        yield Check("ok", "dataset", f"{described.name}, scored by {described.instrument.name}: {counts}")
    except RustkError as error:
        yield Check("fail", "dataset", str(error))
    try:
        found = ", ".join(entry.name for entry in list_weights(opened))
        yield Check("ok", "weights", found or "none but random: `rustk weights add imagenet FILE` adds some")
    except RustkError as error:
        yield Check("fail", "weights", str(error))


def _access_checks(opened: "Store") -> "Iterator[Check]":
    """Write, list and remove a small object. A folder that is not there yet is not made."""
    import secrets
    from datetime import UTC, datetime
    from pathlib import Path

    from rustk.backends.base import Check, skew_check

    if "://" not in opened.url and not Path(opened.url).exists():
        opened.check_writable()
        yield Check(
            "note", "store", f"{opened.url}: is not there yet; it can be made, and what is first written to it makes it"
        )
        return
    key = f"{_PROBE}-{secrets.token_hex(4)}"
    opened.write(key, b"rustk doctor was here\n")
    written = datetime.now(UTC)
    try:
        modified = next(entry.modified for entry in opened.list(key))
    finally:
        opened.delete(key)
    empty = "" if opened.folders("") else ", and empty"
    yield Check("ok", "store", f"{opened.url}: reachable and writable{empty}")
    yield skew_check("store clock", opened.url, modified, written)
