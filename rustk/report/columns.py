"""Parquet columns by name: what a file must hold, whatever wrote it."""

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from rustk.vocabulary.errors import BadData


class Listed(Protocol):
    """An entry of a listing."""

    @property
    def key(self) -> str: ...


class Reader(Protocol):
    """What results are read through: a Store is one."""

    def read(self, key: str) -> bytes:
        """The object's bytes. Raises KeyMissing."""

    def list(self, prefix: str) -> Sequence[Listed]:
        """All objects whose key begins with `prefix`, sorted by key."""


def read_table(reader: Reader, key: str) -> pa.Table:
    data = reader.read(key)
    try:
        # Threads are ours, one a file: arrow's own would only wait for each other on files this small.
        return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise BadData(f"{key}: not a Parquet file, or a damaged one ({str(error).splitlines()[0]})") from error


def conform(table: pa.Table, schema: pa.Schema, key: str, optional: frozenset[str] = frozenset()) -> pa.Table:
    """The table's columns of these names in these types. Raises BadData that names the file and the column.

    Integers must be whole and present; a float may be null (NaN then). Optional columns that are absent are null.
    """
    columns = []
    for wanted in schema:
        found = table.schema.get_all_field_indices(wanted.name)
        if len(found) != 1:
            if not found and wanted.name in optional:
                columns.append(pa.nulls(table.num_rows, wanted.type))
                continue
            how = "is missing" if not found else f"stands there {len(found)} times"
            raise BadData(f"{key}: column {wanted.name} {how}: expected {wanted.type}; it has {_listing(table)}")
        column = table.column(found[0])
        if column.type != wanted.type:
            try:
                column = _cast(column, wanted.type)
            except (pa.ArrowException, ValueError) as error:
                what = f"{key}: column {wanted.name} is {column.type}: expected {wanted.type}"
                raise BadData(f"{what} ({str(error).splitlines()[0]})") from error
        if column.null_count and not pa.types.is_floating(wanted.type) and wanted.name not in optional:
            raise BadData(f"{key}: column {wanted.name} has {column.null_count} nulls: expected a value in every row")
        columns.append(column)
    return pa.table(columns, schema=schema.remove_metadata())


def _cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """A cast between numbers or between texts; never from one to the other, which would let a wrong column through."""
    source = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    text = pa.types.is_string(wanted)
    if text != (pa.types.is_string(source) or pa.types.is_large_string(source) or pa.types.is_string_view(source)):
        raise ValueError("text is no number" if not text else "a number is no text")
    if pa.types.is_boolean(source) or pa.types.is_temporal(source):
        raise ValueError("not a number")
    # A float narrows as it must; everything else may lose nothing.
    return column.cast(wanted, safe=not pa.types.is_floating(wanted))


def _listing(table: pa.Table) -> str:
    return ", ".join(table.column_names) or "no columns"
