"""Whether a dataset in a store is still what was built: every digest, count and label of it."""

import hashlib
from collections.abc import Callable

import pandas as pd

from rustk.store import Store
from rustk.store.datasets import digest_of, read_index
from rustk.store.documents import DatasetDocument
from rustk.vocabulary import names
from rustk.vocabulary.errors import BadData, KeyMissing


def verify_dataset(
    store: Store, dataset: DatasetDocument, progress: Callable[[int, int], None] | None = None
) -> list[str]:
    """Read every shard and the index of a dataset, and compare them with its description.

    Returns what is wrong, one line a fault; an empty list says that all is as it was built. `progress(done, total)`
    is called after every shard.
    """
    faults = []
    for number, shard in enumerate(dataset.shards, start=1):
        key = names.dataset_shard_key(dataset.name, shard.key)
        try:
            data = store.read(key)
        except KeyMissing:
            faults.append(f"{key} is missing")
        else:
            if len(data) != shard.bytes:
                faults.append(f"{key} has {len(data)} bytes: dataset.json says {shard.bytes}")
            elif (found := hashlib.sha256(data).hexdigest()) != shard.sha256:
                faults.append(f"{key} has sha256 {found[:12]}...: dataset.json says {shard.sha256[:12]}...")
        if progress is not None:
            progress(number, len(dataset.shards))
    try:
        index = read_index(store, dataset).to_pandas()
    except BadData as error:
        faults.append(str(error))
    else:
        faults += _verify_index(dataset, index)
    digest = digest_of(dataset)
    if digest != dataset.digest:
        faults.append(f"dataset.json has the digest {dataset.digest[:12]}...: its content has {digest[:12]}...")
    return faults


def _verify_index(dataset: DatasetDocument, index: pd.DataFrame) -> list[str]:
    key = names.dataset_index_key(dataset.name)
    faults = []
    for shard in dataset.shards:
        rows = index[index["shard"] == shard.key]
        if sorted(rows["position"]) != list(range(shard.records)):
            faults.append(f"{key} lists {len(rows)} records of {shard.key}: dataset.json says {shard.records}")
        if (rows["split"] != shard.split).any():
            faults.append(f"{key} has rows of {shard.key} in another split than {shard.split}")
    if unknown := sorted(set(index["shard"]) - {shard.key for shard in dataset.shards}):
        faults.append(f"{key} lists records of {unknown[0]}, which dataset.json doesn't know")
    for split, count in dataset.counts.items():
        if (found := int((index["split"] == split).sum())) != count:
            faults.append(f"{key} has {found} images of {split}: dataset.json says counts.{split} = {count}")
    repeated = index.loc[index["sample_id"].duplicated(), "sample_id"]
    faults += [f"{key} lists the sample {sample} more than once" for sample in repeated]
    sites = dataset.instrument.site_names
    for row in index.to_dict("records"):
        try:
            scores = {site: None if pd.isna(row[site]) else int(row[site]) for site in sites}
            dataset.instrument.check_scores(row["view"], scores)
        except ValueError as error:
            faults.append(f"{key}: sample {row['sample_id']}: {error}")
    return faults
