"""Every type at its limits, NULLs among them: parts hold what the server prints."""

from __future__ import annotations

from itertools import zip_longest

from tap_mssql.accept import printed
from tap_mssql.accept.place import SCHEMA
from tap_mssql.accept.trial import Outcomes, Trial, absent, failed, told
from tap_mssql.server.diagnosis import driver_text
from tap_mssql.server.retry import DRIVER_ERRORS

# Types that go into one table, and literals of each; types that a server may lack have a table of their own.
GROUPS: dict[str, dict[str, tuple[str, ...]]] = {
    "numbers": {
        "bit": ("0", "1"),
        "tinyint": ("0", "255"),
        "smallint": ("-32768", "32767"),
        "int": ("-2147483648", "2147483647"),
        "bigint": ("-9223372036854775808", "9223372036854775807"),
        "decimal(38,0)": ("-" + "9" * 38, "9" * 38),
        "decimal(38,38)": ("-0." + "9" * 38, "0." + "0" * 37 + "1"),
        "decimal(19,4)": ("-0.0001", "123456789012345.6789"),
        "money": ("-922337203685477.5808", "922337203685477.5807"),
        "smallmoney": ("-214748.3648", "214748.3647"),
        "float": ("-1.7976931348623157E+308", "2.2250738585072014E-308", "0.1"),
        "real": ("-3.4028235E+38", "1.1754944E-38", "0.1"),
    },
    "times": {
        "date": ("'0001-01-01'", "'9999-12-31'", "'2024-02-29'"),
        "time(0)": ("'00:00:00'", "'23:59:59'"),
        "time(7)": ("'00:00:00.0000001'", "'23:59:59.9999999'"),
        "datetime": ("'1753-01-01T00:00:00.000'", "'9999-12-31T23:59:59.997'", "'2024-02-29T12:34:56.003'"),
        "smalldatetime": ("'1900-01-01T00:00:00'", "'2079-06-06T23:59:00'"),
        "datetime2(0)": ("'0001-01-01T00:00:00'", "'9999-12-31T23:59:59'"),
        "datetime2(3)": ("'0001-01-01T00:00:00.001'", "'9999-12-31T23:59:59.999'"),
        "datetime2(7)": ("'0001-01-01T00:00:00.0000001'", "'9999-12-31T23:59:59.9999999'"),
        "datetimeoffset(7)": ("'0001-01-02T00:00:00.0000001+14:00'", "'9999-12-30T23:59:59.9999999-12:00'"),
    },
    "texts and bytes": {
        "char(5)": ("'ab'", "''"),
        "varchar(50)": ("''", "'O''Brien '"),
        "varchar(max)": ("''", "REPLICATE(CONVERT(varchar(max), 'x'), 9000)"),
        "nchar(5)": ("N'é'", "N''"),
        "nvarchar(50)": ("N'Ação 日本 🚚'", "N' '"),
        "nvarchar(max)": ("N''", "REPLICATE(CONVERT(nvarchar(max), N'ß🙂'), 3000)"),
        "binary(4)": ("0x00", "0xFFFEFDFC"),
        "varbinary(50)": ("0x", "0x0001FF"),
        "varbinary(max)": ("0x", "0x00FF"),
        "uniqueidentifier": ("'00000000-0000-0000-0000-000000000000'", "'01234567-89AB-CDEF-0123-456789ABCDEF'"),
    },
    "rowversion": {"rowversion": ()},
    "xml": {"xml": ("N'<a>é &amp; b</a>'", "N''")},
    "sql_variant": {"sql_variant": ("CONVERT(int, 5)", "N'text'", "CONVERT(decimal(9, 2), 1.50)")},
    "hierarchyid": {"hierarchyid": ("'/'", "'/1/2.1/'")},
}
TABLES = {group: f"type_{group.replace(' ', '_')}" for group in GROUPS}


def types(trial: Trial) -> Outcomes:
    """One line per type."""
    made = {}
    for group, literals in GROUPS.items():
        columns = ", ".join(f"[{declared}] {declared}{'' if declared == 'rowversion' else ' NULL'}" for declared in literals)
        given = {declared: texts for declared, texts in literals.items() if declared != "rowversion"}
        rows = [*zip_longest(*given.values(), fillvalue="NULL"), ("NULL",) * len(given)]
        listed = f"(id{''.join(f', [{declared}]' for declared in given)})"
        try:
            trial.place.table(TABLES[group], f"id int NOT NULL PRIMARY KEY, {columns}")
            trial.place.insert(TABLES[group], [", ".join((str(n), *row)) for n, row in enumerate(rows)], listed)
        except DRIVER_ERRORS as error:
            yield from (absent(f"type {declared}", driver_text(error)) for declared in literals)
            continue
        made[group] = literals
    ran = trial.reading.run("type_*")
    for group, literals in made.items():
        load = ran.loads.get(TABLES[group])
        for declared in literals:
            name = f"type {declared}"
            if load is None:
                yield failed(name, ran.error)
                continue
            sql = f"SELECT {printed.expression(declared, declared)} FROM {SCHEMA}.{TABLES[group]} ORDER BY id"
            texts = [text for (text,) in trial.place.rows(sql)]
            values = printed.values(load.rows.column(declared))
            wrong = [
                f"the server prints {text!r}, the part holds {value!r}"
                for text, value in zip_longest(texts, values, fillvalue="no row")
                if "no row" in (text, value) or not printed.is_same(declared, text, value)
            ]
            yield told(name, "; ".join(wrong), f"{len(values)} values are what the server prints")
