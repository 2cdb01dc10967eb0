"""Rows of dbo.AllTypes: each type at its limits, at zero, NULL and awkward, as text or Python values.

Times are text: `stored_values.convert` reads them as SQL Server reads a literal.
"""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

COLUMNS = """
    id int not
    c_bit bit
    c_tinyint tinyint
    c_smallint smallint
    c_int int
    c_bigint bigint
    c_decimal_38_0 decimal(38,0)
    c_decimal_38_38 decimal(38,38)
    c_decimal_18_4 decimal(18,4)
    c_numeric_9_2 numeric(9,2)
    c_numeric_28_10 numeric(28,10)
    c_money money
    c_smallmoney smallmoney
    c_real real
    c_float float
    c_date date
    c_time_0 time(0)
    c_time_7 time(7)
    c_datetime datetime
    c_smalldatetime smalldatetime
    c_datetime2_0 datetime2(0)
    c_datetime2_3 datetime2(3)
    c_datetime2_7 datetime2(7)
    c_datetimeoffset_0 datetimeoffset(0)
    c_datetimeoffset_7 datetimeoffset(7)
    c_char_5 char(5)
    c_varchar_50 varchar(50)
    c_varchar_max varchar(max)
    c_text text
    c_nchar_5 nchar(5)
    c_nvarchar_50 nvarchar(50)
    c_nvarchar_max nvarchar(max)
    c_ntext ntext
    c_binary_4 binary(4)
    c_varbinary_50 varbinary(50)
    c_varbinary_max varbinary(max)
    c_image image
    c_uniqueidentifier uniqueidentifier
    c_xml xml
    c_rowversion rowversion not
    c_sql_variant sql_variant
    c_hierarchyid hierarchyid
    c_geography geography
"""
# written out: arithmetic would round to 28 digits
_ALL, _LEAST = Decimal("9" * 38), Decimal("-" + "9" * 38)
_BELOW_ONE, _ABOVE_MINUS_ONE = Decimal("0." + "9" * 38), Decimal("-0." + "9" * 38)


def rows() -> list[list[Any]]:
    """In the columns' order, without the rowversion."""
    low = [
        1,
        False,
        0,
        -(2**15),
        -(2**31),
        -(2**63),
        _LEAST,
        _ABOVE_MINUS_ONE,
        Decimal("-99999999999999.9999"),
        Decimal("-9999999.99"),
        Decimal("-999999999999999999.9999999999"),
        Decimal("-922337203685477.5808"),
        Decimal("-214748.3648"),
        struct.unpack("<f", b"\xff\xff\x7f\xff")[0],
        -1.7976931348623157e308,
        "0001-01-01",
        "00:00:00",
        "00:00:00.0000000",
        "1753-01-01T00:00:00.000",
        "1900-01-01T00:00:00",
        "0001-01-01T00:00:00",
        "0001-01-01T00:00:00.000",
        "0001-01-01T00:00:00.0000000",
        "0001-01-01T14:00:00+14:00",
        "0001-01-01T00:00:00.0000000+00:00",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
        b"",
        b"",
        b"",
        b"",
        "00000000-0000-0000-0000-000000000000",
        "",
        "",
        "/",
        "POINT (-180 -90)",
    ]
    high = [
        2,
        True,
        255,
        2**15 - 1,
        2**31 - 1,
        2**63 - 1,
        _ALL,
        _BELOW_ONE,
        Decimal("99999999999999.9999"),
        Decimal("9999999.99"),
        Decimal("999999999999999999.9999999999"),
        Decimal("922337203685477.5807"),
        Decimal("214748.3647"),
        struct.unpack("<f", b"\xff\xff\x7f\x7f")[0],
        1.7976931348623157e308,
        "9999-12-31",
        "23:59:59",
        "23:59:59.9999999",
        "9999-12-31T23:59:59.997",
        "2079-06-06T23:59:00",
        "9999-12-31T23:59:59",
        "9999-12-31T23:59:59.999",
        "9999-12-31T23:59:59.9999999",
        "9999-12-31T09:59:59-14:00",
        "9999-12-31T23:59:59.9999999+00:00",
        "zzzzz",
        "z" * 50,
        "ÿ" * 9_000,
        "t" * 9_000,
        "zzzzz",
        "\uffe5" * 50,
        "é" * 5_000,
        "n" * 5_000,
        b"\xff" * 4,
        b"\xff" * 50,
        b"\xff" * 9_000,
        b"\xfe" * 9_000,
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "<r>" + "x" * 5_000 + "</r>",
        "variant",
        "/1/2/3.4/",
        "POINT (180 90)",
    ]
    zero = [
        3,
        False,
        0,
        0,
        0,
        0,
        Decimal(0),
        Decimal(0),
        Decimal(0),
        Decimal(0),
        Decimal(0),
        Decimal(0),
        Decimal(0),
        0.0,
        0.0,
        "1970-01-01",
        "12:00:00",
        "12:00:00.0000001",
        "1970-01-01T00:00:00.003",
        "1970-01-01T00:00:00",
        "1970-01-01T00:00:00",
        "1970-01-01T00:00:00.001",
        "1970-01-01T00:00:00.0000001",
        "1970-01-01T00:00:00+00:00",
        "1970-01-01T00:00:00.0000001+05:45",
        " ",
        " ",
        " ",
        " ",
        " ",
        " ",
        " ",
        " ",
        b"\0",
        b"\0",
        b"\0",
        b"\0",
        "6F9619FF-8B86-D011-B42D-00C04FC964FF",
        "<r/>",
        "0",
        "/1/",
        "POINT (0 0)",
    ]
    awkward = [
        5,
        True,
        127,
        -1,
        -1,
        -1,
        Decimal(10**37),
        Decimal("1E-38"),
        Decimal("-0.0001"),
        Decimal("-0.01"),
        Decimal("0.0000000001"),
        Decimal("-0.0001"),
        Decimal("-0.0001"),
        struct.unpack("<f", b"\x01\0\0\0")[0],
        5e-324,
        "2000-02-29",
        "23:59:59",
        "00:00:00.1234567",
        "2016-12-31T23:59:59.007",
        "2000-02-29T12:31:00",
        "1582-10-15T00:00:00",
        "1969-12-31T23:59:59.999",
        "1969-12-31T23:59:59.9999999",
        "2026-11-24T23:30:00-12:00",
        "2026-10-25T02:30:00.1234567+02:00",
        "a  ",
        "trailing  ",
        'quote " and , comma',
        "a\r\nb\tc",
        "é  ",
        "São João 😀 e\u0301",
        "👩‍👩‍👧‍👦 日本語 \u202eabc",
        "ß İ ı",
        b"\0\x01\x02",
        b"\0\0\x01\0",
        b"\x0d\x0a\x1a\0",
        b"PK\x03\x04",
        "01234567-89AB-CDEF-0123-456789ABCDEF",
        '<a b="1">ação &amp; 😀</a>',
        "N'x'",
        "/-1.5/",
        "LINESTRING (0 0, 1 1)",
    ]
    nulls: list[Any] = [4, *([None] * (len(low) - 1))]
    exact = [6, *awkward[1:]]
    exact[13:15] = [struct.unpack("<f", struct.pack("<f", 0.1))[0], 0.1]
    exact[21:23] = ["2026-11-24T16:12:24.123", "2026-11-24T16:12:24.1234568"]
    return [low, high, zero, nulls, awkward, exact]
