"""The one reader and the one writer of Parquet, and what a file's columns must be whatever wrote it."""

import pyarrow as pa
import pyarrow.parquet as pq

from rustk.vocabulary.checking import clip
from rustk.vocabulary.errors import BadData, one_line
from rustk.vocabulary.wording import counted

_METADATA = b"rustk"


def read_parquet(data: bytes, source: str) -> pa.Table:
    """A whole table. Raises BadData that begins with `source` for bytes that are no Parquet file.

    The bytes are wrapped without a copy and read by this thread alone: a Python file object, or arrow's own threads,
    can free a buffer while the interpreter shuts down, which aborts the process (exit code 134).
    """
    try:
        return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadData(f"{source}: not a Parquet file, or a damaged one ({one_line(str(error))})") from None


def encode_parquet(table: pa.Table) -> bytes:
    """The table as the bytes of one Parquet file."""
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    encoded: bytes = buffer.getvalue().to_pybytes()
    return encoded


def with_metadata(schema: pa.Schema, metadata: bytes) -> pa.Schema:
    """The schema carrying `metadata`, a document's JSON, in the file's key-value metadata, under the key `rustk`."""
    return schema.with_metadata({_METADATA: metadata})


def read_metadata_bytes(schema: pa.Schema) -> bytes:
    """What `with_metadata` put there; an empty JSON object for files that others wrote without it."""
    found: bytes = (schema.metadata or {}).get(_METADATA, b"{}")
    return found


def conform(table: pa.Table, schema: pa.Schema, source: str, optional: frozenset[str] = frozenset()) -> pa.Table:
    """The table's columns of these names in these types. Raises BadData that names the file and the column.

    Integers must be whole and present; a float may be null (NaN then). Optional columns that are absent are null, and
    columns beside those asked for are passed over.
    """
    columns = []
    for wanted in schema:
        found = table.schema.get_all_field_indices(wanted.name)
        if len(found) != 1:
            if not found and wanted.name in optional:
                columns.append(pa.nulls(table.num_rows, wanted.type))
                continue
            how = "is missing" if not found else f"appears {len(found)} times"
            raise BadData(f"{source}: column {wanted.name} {how}: expected {wanted.type}; it has {_listing(table)}")
        column = table.column(found[0])
        if column.type != wanted.type:
            try:
                column = _cast(column, wanted.type)
            except (pa.ArrowException, ValueError) as error:
                what = f"{source}: column {wanted.name} is {column.type}: expected {wanted.type}"
                raise BadData(f"{what} ({one_line(str(error))})") from None
        if column.null_count and not pa.types.is_floating(wanted.type) and wanted.name not in optional:
            nulls = counted(column.null_count, "null")
            raise BadData(f"{source}: column {wanted.name} has {nulls}: expected a value in every row")
        columns.append(column)
    return pa.table(columns, schema=schema.remove_metadata())


def _cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """A cast between numbers or between texts; never from one to the other, which would let a wrong column through."""
    source = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_null(source):
        return column.cast(wanted)  # a column of nothing but nulls says nothing of its type
    text = pa.types.is_string(wanted)
    if text != (pa.types.is_string(source) or pa.types.is_large_string(source) or pa.types.is_string_view(source)):
        raise ValueError("text is not a number" if not text else "a number is not text")
    if pa.types.is_boolean(source) or pa.types.is_temporal(source):
        raise ValueError("not a number")
    # A float narrows as it must; everything else may lose nothing.
    return column.cast(wanted, safe=not pa.types.is_floating(wanted))


def _listing(table: pa.Table) -> str:
    return clip(", ".join(table.column_names) or "no columns", 400).strip("'")
