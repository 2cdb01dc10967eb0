"""Ranges of keys of every kind: each row once, in the server's own order, which is the one that is documented."""

from __future__ import annotations

from collections.abc import Callable

from tap_mssql.accept.place import SCHEMA
from tap_mssql.accept.trial import Outcomes, Trial, failed, lacking, told

ROWS, RANGE_ROWS = 24, 9
_LATIN = "nvarchar(20) COLLATE Latin1_General_100_CI_AS"
# learn.microsoft.com, "Comparing GUID and uniqueidentifier values": the last six bytes weigh most, then the two before them,
# and so on; within each of the first three groups the bytes from the last to the first.
_GUIDS = (
    "FFFFFFFF-FFFF-FFFF-FFFF-000000000000", "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0001-000000000001",
    "00000000-0000-0000-0100-000000000001", "00000000-0000-0000-0000-000000000100", "00000000-0000-0100-0000-010000000000",
    "00000000-0000-0001-0000-010000000000", "00000000-0100-0001-0000-010000000000", "00000000-0001-0001-0000-010000000000",
)  # fmt: skip

# Kind of key → the columns of the key, and the literals of its n-th row, in ascending order.
KEYS: dict[str, tuple[tuple[str, ...], Callable[[int], tuple[str, ...]]]] = {
    "int": (("int",), lambda n: (str((n - 12) * 178956970),)),
    "bigint": (("bigint",), lambda n: (str((n - 12) * 768614336404564650),)),
    "decimal(38,10)": (("decimal(38,10)",), lambda n: (f"{n - 12}.0000000001",)),
    "float": (("float",), lambda n: (f"{n - 12}.1E0",)),
    "date": (("date",), lambda n: (f"'2024-02-{n + 1:02d}'",)),
    "datetime": (("datetime",), lambda n: (f"'2024-01-01T00:00:00.{(n * 10 + 1) // 3:03d}'",)),
    "datetime2(7)": (("datetime2(7)",), lambda n: (f"'2024-01-01T00:00:00.{n:07d}'",)),
    "datetimeoffset(7)": (("datetimeoffset(7)",), lambda n: (f"'2024-01-01T{n:02d}:00:00.0000001+00:00'",)),
    "varbinary": (("varbinary(8)",), lambda n: (f"0x{n * 10:02X}",)),
    "nvarchar": ((_LATIN,), lambda n: (f"N'{chr(97 + n - n % 2 * 32)}'",)),
    "nvarchar, binary": (("nvarchar(20) COLLATE Latin1_General_100_BIN2",), lambda n: (f"N'{chr(65 + 2 * n)}é'",)),
    "uniqueidentifier": (("uniqueidentifier",), lambda n: (_guid(n),)),
    "two columns": (("int", _LATIN), lambda n: (str(n // 5), f"N'{'abcde'[n % 5]}'")),
    "smalldatetime": (("smalldatetime",), lambda n: (f"'2024-01-01T{n:02d}:01:00'",)),
}  # fmt: skip


def _guid(n: int) -> str:
    return f"'{_GUIDS[n]}'" if n < len(_GUIDS) else f"'00000000-0000-0000-0000-{n * 0x0A0000000000:012X}'"


def keys(trial: Trial) -> Outcomes:
    """One line per kind of key."""
    made: dict[str, str] = {}
    for number, (kind, (columns, literals)) in enumerate(KEYS.items()):
        table = f"key_{number}"
        names = [f"[k{place}]" for place in range(len(columns))]
        declared = "".join(f"{name} {column} NOT NULL, " for name, column in zip(names, columns, strict=True))
        # Put in against the order, so that the order that comes out is nobody's but the server's.
        rows = ", ".join(f"({', '.join(literals(n))}, {n})" for n in reversed(range(ROWS)))
        lack = lacking(
            f"key {kind}",
            trial,
            f"CREATE TABLE {SCHEMA}.{table} ({declared}n int NOT NULL, PRIMARY KEY ({', '.join(names)}))",
            f"INSERT INTO {SCHEMA}.{table} VALUES {rows}",
        )
        if lack is not None:
            yield lack
        else:
            made[kind] = table
    ran = trial.reading.over(range_rows=RANGE_ROWS, max_parallel=1).run("key_*")
    for kind, table in made.items():
        if table not in ran.loads:
            yield failed(f"key {kind}", ran.error)
            continue
        order = ", ".join(f"[k{place}]" for place in range(len(KEYS[kind][0])))
        asked = [n for (n,) in trial.place.rows(f"SELECT n FROM {SCHEMA}.{table} ORDER BY {order}")]
        load, right = ran.loads[table], list(range(ROWS))
        wrong = [
            *([f"the server sorts the rows {asked}"] if asked != right else []),
            *([f"the parts have the rows {load.column('n')}"] if load.column("n") != right else []),
            *([f"{load.document.source_rows} rows counted"] if load.document.source_rows != ROWS else []),
        ]
        yield told(f"key {kind}", "; ".join(wrong), f"{ROWS} rows in {len(load.document.files)} ranges, each once, in order")
