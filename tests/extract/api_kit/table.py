"""The rows that an API holds: a table that may change, and remembers every state that it had."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

Row = dict[str, Any]
Change = Callable[["Table"], None]

COLUMNS: Mapping[str, dict[str, Any]] = {
    "id": {"type": ["integer"], "x-sql-datatype": "int"},
    "name": {"type": ["string"], "x-sql-datatype": "nvarchar(50)"},
    "price": {"type": ["number", "null"], "x-sql-datatype": "decimal(9,2)"},
    "at": {"type": ["string"], "x-sql-datatype": "datetime2"},
}
FIRST = datetime(2026, 1, 1)


def row(number: int) -> Row:
    """A record as the API's JSON has it."""
    price = None if number % 7 == 0 else number / 4
    return {"id": number, "name": f"artigo {number} ção", "price": price, "at": (FIRST + timedelta(hours=number)).isoformat()}


def rows(count: int) -> list[Row]:
    return [row(number) for number in range(1, count + 1)]


def stored(record: Row) -> Row:
    """The record as Parquet holds it by COLUMNS."""
    price = None if record["price"] is None else Decimal(str(record["price"])).quantize(Decimal("0.01"))
    return {**record, "price": price, "at": datetime.fromisoformat(record["at"])}


class Table:
    """Rows in the order in which the API pages them. `states` are all it ever held, the newest last."""

    def __init__(self, content: Iterable[Row]) -> None:
        self.states: list[list[Row]] = [list(content)]
        self._next = max((record["id"] for record in self.rows), default=0) + 1

    @property
    def rows(self) -> list[Row]:
        return self.states[-1]

    def become(self, content: Iterable[Row]) -> None:
        self.states.append(list(content))

    def new(self) -> Row:
        """A row that was never there."""
        self._next += 1
        return row(self._next - 1)


def insert_in_front(table: Table) -> None:
    table.become([table.new(), *table.rows])


def append(table: Table) -> None:
    table.become([*table.rows, table.new()])


def delete_first(table: Table) -> None:
    table.become(table.rows[1:])


def delete_last(table: Table) -> None:
    table.become(table.rows[:-1])


def insert_in_front_and_delete_last(table: Table) -> None:
    table.become([table.new(), *table.rows[:-1]])


def delete_first_and_append(table: Table) -> None:
    table.become([*table.rows[1:], table.new()])


def in_another_order(seed: int = 1) -> Change:
    dice = random.Random(seed)

    def shuffle(table: Table) -> None:
        table.become(dice.sample(table.rows, len(table.rows)))

    return shuffle
