"""The store: one layout of keys in a directory or in an S3 bucket. boto3 is imported here and nowhere else."""

from rustk.store.base import Entry, Store
from rustk.store.opening import open_store

__all__ = ["Entry", "Store", "open_store"]
