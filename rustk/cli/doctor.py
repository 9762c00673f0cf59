"""`rustk doctor`: is everything there that a run needs?"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from rustk.cli.cluster import BackendOption, NamespaceOption, cluster_from, on_cluster
from rustk.cli.context import DatasetOption, StoreOption, settings, store_from
from rustk.vocabulary.errors import RustkError

if TYPE_CHECKING:
    from rustk.cluster.doctor import Check
    from rustk.store import Store
    from rustk.vocabulary.settings import Settings

_PROBE = "rustk-doctor-probe"


def doctor(
    dataset: DatasetOption = None,
    backend: BackendOption = None,
    namespace: NamespaceOption = None,
    store: StoreOption = None,
) -> None:
    """Check the store, its datasets and weights, and the cluster; each line says ok, or what to do."""
    current = settings(store=store, dataset=dataset, backend=backend, kubernetes=on_cluster(namespace))
    failed = 0
    for check in _checks(current):
        failed += check.verdict == "fail"
        typer.echo(f"{check.verdict:<5} {check.what:<12} {check.found}")
    if failed:
        raise RustkError(f"{failed} check{'s' * (failed > 1)} failed")


def _checks(current: "Settings") -> "Iterator[Check]":
    if current.backend == "kubernetes":
        from rustk.cluster.doctor import check_cluster

        yield from _settings_checks(current)
        cluster: Any = None
        try:
            cluster = cluster_from(current)
        except RustkError as error:
            yield _failed("kubeconfig", error)
        if cluster is not None:
            yield from check_cluster(cluster, current.kubernetes)
    yield from _store_checks(current)


def _settings_checks(current: "Settings") -> "Iterator[Check]":
    from rustk.cluster.doctor import Check
    from rustk.cluster.rendering import check_image, template_of

    try:
        yield Check("ok", "image", check_image(current.kubernetes.image, allow_tag=False))
    except RustkError as error:
        yield _failed("image", error)
    try:
        template_of(current.kubernetes)
        yield Check("ok", "Job template", current.kubernetes.template or "k8s/fold-job.yaml, as it came with rustk")
    except RustkError as error:
        yield _failed("Job template", error)


def _store_checks(current: "Settings") -> "Iterator[Check]":
    from rustk.cluster.doctor import Check
    from rustk.datasets.weights import list_weights
    from rustk.store.datasets import choose_dataset, read_dataset

    try:
        opened = store_from(current)
        yield from _access_checks(opened)
    except RustkError as error:
        yield _failed("store", error)
        return
    try:
        described = read_dataset(opened, choose_dataset(opened, current.dataset))
        there = {entry.key.rpartition("/")[2] for entry in opened.list(f"datasets/{described['name']}/")}
        gone = [shard["key"] for shard in described["shards"] if shard["key"] not in there]
        if gone:
            raise RustkError(f"{described['name']}: {', '.join(gone)} is missing: build the dataset again")
        counts = ", ".join(f"{count} {split}" for split, count in described.get("counts", {}).items())
        yield Check("ok", "dataset", f"{described['name']}: {counts}")
    except RustkError as error:
        yield _failed("dataset", error)
    try:
        names = ", ".join(entry.name for entry in list_weights(opened))
        yield Check("ok", "weights", names or "none but random: `rustk weights add imagenet FILE` adds some")
    except RustkError as error:
        yield _failed("weights", error)


def _access_checks(opened: "Store") -> "Iterator[Check]":
    """Write, list and remove a small object."""
    import secrets
    from datetime import UTC, datetime

    from rustk.cluster.doctor import Check, skew_check

    key = f"{_PROBE}-{secrets.token_hex(4)}"
    opened.write(key, b"rustk doctor was here\n")
    written = datetime.now(UTC)
    try:
        modified = next(entry.modified for entry in opened.list(key))
    finally:
        opened.delete(key)
    yield Check("ok", "store", f"{opened.url}: reachable and writable")
    yield skew_check("store clock", opened.url, modified, written)


def _failed(what: str, error: RustkError) -> "Check":
    from rustk.cluster.doctor import Check

    return Check("fail", what, str(error))
