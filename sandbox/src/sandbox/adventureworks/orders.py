"""The four order tables, modelled on AdventureWorks: sales and purchases, with headers and details that agree.

Rows at scale 1.0: SalesOrderHeader 31,465; SalesOrderDetail 121,317; PurchaseOrderHeader 4,012; PurchaseOrderDetail 8,845.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from sandbox.adventureworks.generated_columns import (
    I64,
    below,
    choice,
    decimals,
    guids,
    mix,
    numbers,
    pattern,
)

ROWS = {
    "SalesOrderHeader": 31_465,
    "SalesOrderDetail": 121_317,
    "PurchaseOrderHeader": 4_012,
    "PurchaseOrderDetail": 8_845,
}
PRODUCTS = 504
FIRST_PRODUCT = 680
CUSTOMERS = 1_982
ADDRESSES = 450

_TIME = pa.timestamp("us")
_DAY = 86_400_000_000
_FIRST_DAY = (dt.date(2011, 5, 31) - dt.date(1970, 1, 1)).days
_DAYS = 1_127  # to 2014-06-30
_COMMENTS: list[str | None] = [
    "Entregar apenas após as 18h, São José dos Campos",
    'Ligar antes: "João" ou Conceição, portão nº 7',
    "frágil 📦 não empilhar; tampa à direita →",
    "two\nlines, one\ttab",
    "trailing space ",
    "",
    "O'Brien; DROP TABLE; -- nada",
    "日本語の注文",
]


def rows_at(table: str, scale: float) -> int:
    """Rows of a table at a scale; at least 4 headers, 12 details."""
    return max(round(ROWS[table] * scale), 4 if table.endswith("Header") else 12)


def order_tables(scale: float = 1.0) -> dict[str, pa.Table]:
    """The four tables by name.

    Arrow types: int32 (int), int16 (smallint, tinyint), bool (bit), decimal128(19, 4) (money),
    decimal128(38, 6) (LineTotal of sales), decimal128(8, 2) (received quantities), timestamp[us] (datetime), string.
    """
    sales_header, sales_detail = _sales(scale)
    purchase_header, purchase_detail = _purchases(scale)
    return {
        "SalesOrderHeader": sales_header,
        "SalesOrderDetail": sales_detail,
        "PurchaseOrderHeader": purchase_header,
        "PurchaseOrderDetail": purchase_detail,
    }


def _sales(scale: float) -> tuple[pa.Table, pa.Table]:
    n = rows_at("SalesOrderHeader", scale)
    row = np.arange(n, dtype=np.int64)
    online = below(1, row, 100) < 88
    lines = _lines_per_order(row, online, rows_at("SalesOrderDetail", scale))
    owner = np.repeat(row, lines)
    ordered = (_FIRST_DAY + row * _DAYS // n) * _DAY
    detail, line_total = _sales_detail(owner, ordered, online)

    subtotal = _half_up(np.add.reduceat(line_total, np.cumsum(lines) - lines), 100)
    tax = _half_up(subtotal * 8, 100)
    freight = _half_up(subtotal * 25, 1000)
    open_order = row >= n - max(n // 200, 1)
    store = ~online
    return pa.table(
        {
            "SalesOrderID": numbers(43_659 + row, pa.int32()),
            "RevisionNumber": numbers(8 + below(2, row, 2), pa.int16()),
            "OrderDate": numbers(ordered, _TIME),
            "DueDate": numbers(ordered + 12 * _DAY, _TIME),
            "ShipDate": numbers(ordered + 7 * _DAY, _TIME, ~open_order),
            "Status": numbers(np.where(open_order, 1, 5), pa.int16()),
            "OnlineOrderFlag": pa.array(online),
            "SalesOrderNumber": pattern("SO#####" if n < 56_341 else "SO#########", 43_659 + row),
            "PurchaseOrderNumber": pattern("PO#########", below(3, row, 10**9), store),
            "AccountNumber": pattern("10-4###-######", below(4, row, 31) * 10**6 + below(5, row, CUSTOMERS)),
            "CustomerID": numbers(11_000 + below(5, row, CUSTOMERS), pa.int32()),
            "SalesPersonID": numbers(274 + below(6, row, 17), pa.int32(), store),
            "TerritoryID": numbers(1 + below(7, row, 10), pa.int32()),
            "BillToAddressID": numbers(1 + below(8, row, ADDRESSES), pa.int32()),
            "ShipToAddressID": numbers(1 + below(8, row, ADDRESSES), pa.int32()),
            "ShipMethodID": numbers(np.where(online, 1, 5), pa.int32()),
            "CreditCardID": numbers(1 + below(9, row, 19_237), pa.int32(), below(10, row, 28) > 0),
            "CreditCardApprovalCode": pattern("1#####Vi#####", below(11, row, 10**10), below(10, row, 28) > 0),
            "CurrencyRateID": numbers(1 + below(12, row, 12_431), pa.int32(), below(13, row, 9) < 4),
            "SubTotal": decimals(subtotal, 19, 4),
            "TaxAmt": decimals(tax, 19, 4),
            "Freight": decimals(freight, 19, 4),
            "TotalDue": decimals(subtotal + tax + freight, 19, 4),
            "Comment": choice([*_COMMENTS, None], np.where(below(14, row, 40) == 0, below(15, row, 8), 8)),
            "rowguid": guids(16, row),
            "ModifiedDate": numbers(ordered + 7 * _DAY + _moment(18, row), _TIME),
        }
    ), detail


def _sales_detail(owner: I64, ordered: I64, online: np.ndarray) -> tuple[pa.Table, I64]:
    """The lines of the orders `owner` names, and their LineTotal in millionths."""
    line = np.arange(len(owner), dtype=np.int64)
    product = below(30, line, PRODUCTS)
    quantity = np.where(online[owner], 1, 1 + below(31, line, 44) * below(32, line, 44) // 50)
    price = list_price(product)
    percent = np.array([0, 0, 0, 0, 0, 2, 5, 10, 15, 35])[below(33, line, 10)] * ~online[owner]
    total = price * quantity * (100 - percent)
    return pa.table(
        {
            "SalesOrderID": numbers(43_659 + owner, pa.int32()),
            "SalesOrderDetailID": numbers(1 + line, pa.int32()),
            "CarrierTrackingNumber": pattern("%%%%-%%%%-%%", below(34, owner, 16**10), ~online[owner]),
            "OrderQty": numbers(quantity, pa.int16()),
            "ProductID": numbers(FIRST_PRODUCT + product, pa.int32()),
            "SpecialOfferID": numbers(1 + below(33, line, 10), pa.int32()),
            "UnitPrice": decimals(price, 19, 4),
            "UnitPriceDiscount": decimals(percent * 100, 19, 4),
            "LineTotal": decimals(total, 38, 6),
            "rowguid": guids(36, line),
            "ModifiedDate": numbers(ordered[owner], _TIME),
        }
    ), total


def _purchases(scale: float) -> tuple[pa.Table, pa.Table]:
    n = rows_at("PurchaseOrderHeader", scale)
    row = np.arange(n, dtype=np.int64)
    lines = _lines_per_order(row, np.ones(n, dtype=np.bool_), rows_at("PurchaseOrderDetail", scale))
    owner = np.repeat(row, lines)
    line = np.arange(len(owner), dtype=np.int64)
    ordered = (_FIRST_DAY - 45 + row * 1_255 // n) * _DAY
    quantity = np.array([3, 60, 550, 1_250])[below(50, line, 4)]
    price = _half_up(list_price(below(51, line, PRODUCTS)) * 6, 100)
    total = price * quantity
    subtotal = np.add.reduceat(total, np.cumsum(lines) - lines)
    tax, freight = _half_up(subtotal * 8, 100), _half_up(subtotal * 25, 1000)
    rejected = np.where(below(52, line, 8) == 0, quantity // 20, 0)
    header = pa.table(
        {
            "PurchaseOrderID": numbers(1 + row, pa.int32()),
            "RevisionNumber": numbers(4 + below(53, row, 6), pa.int16()),
            "Status": numbers(np.where(below(54, row, 10) == 0, 1 + below(55, row, 3), 4), pa.int16()),
            "EmployeeID": numbers(250 + below(56, row, 12), pa.int32()),
            "VendorID": numbers(1_492 + 2 * below(57, row, 86), pa.int32()),
            "ShipMethodID": numbers(1 + below(58, row, 5), pa.int32()),
            "OrderDate": numbers(ordered, _TIME),
            "ShipDate": numbers(ordered + 9 * _DAY, _TIME, below(59, row, 50) > 0),
            "SubTotal": decimals(subtotal, 19, 4),
            "TaxAmt": decimals(tax, 19, 4),
            "Freight": decimals(freight, 19, 4),
            "TotalDue": decimals(subtotal + tax + freight, 19, 4),
            "ModifiedDate": numbers(ordered + 9 * _DAY + _moment(60, row), _TIME),
        }
    )
    detail = pa.table(
        {
            "PurchaseOrderID": numbers(1 + owner, pa.int32()),
            "PurchaseOrderDetailID": numbers(1 + line, pa.int32()),
            "DueDate": numbers(ordered[owner] + 14 * _DAY, _TIME),
            "OrderQty": numbers(quantity, pa.int16()),
            "ProductID": numbers(FIRST_PRODUCT + below(51, line, PRODUCTS), pa.int32()),
            "UnitPrice": decimals(price, 19, 4),
            "LineTotal": decimals(total, 19, 4),
            "ReceivedQty": decimals(quantity * 100, 8, 2),
            "RejectedQty": decimals(rejected * 100, 8, 2),
            "StockedQty": decimals((quantity - rejected) * 100, 9, 2),
            "ModifiedDate": numbers(ordered[owner] + 9 * _DAY + _moment(60, owner), _TIME),
        }
    )
    return header, detail


def list_price(product: I64) -> I64:
    """A product's price in ten-thousandths, 2.29 to about 3,578.27."""
    return 22_900 + (below(70, product, 1_900) ** 2) * 9 + below(71, product, 10_000)


def _lines_per_order(row: I64, online: np.ndarray, total: int) -> I64:
    """At least one line each, `total` in all; stores order far more lines than individuals."""
    spread = below(20, row, 1_000)
    weight = np.cumsum(np.where(online, spread, spread * 12 + 4_000) + 1)
    extra = np.maximum(total - len(row), 0)
    upto = weight * extra // weight[-1]
    lines: I64 = 1 + np.diff(upto, prepend=0)
    return lines


def _moment(salt: int, row: I64) -> I64:
    """µs into the day, on a tick of 1/300 s as `datetime` stores it (.000, .003, .007); midnight for every fourth row."""
    ticks = below(salt, row, 86_400 * 300) * (mix(salt + 1, row) % np.uint64(4) > 0)
    return ((ticks * 10 + 1) // 3) * 1_000


def _half_up(values: I64, divisor: int) -> I64:
    """Division of numbers ≥ 0, rounded half up."""
    return (values + divisor // 2) // divisor
