"""Three tables of a source that changes every day, and what a tap reads of them; plain Python, no engine."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from lakehouse_kit import Made, make_load

AMOUNTS = [pa.int32(), pa.int64(), pa.decimal128(24, 2)]  # a column that grows wider twice
LOOKBACK = 6  # changes: a keyed load begins so far before its bookmark, and finds rows that came late
Bookmark = dict[str, Any] | None


@dataclass
class Table:
    """A source table. `mode` is how its loads go into Delta when they continue: overwrite has no bookmark and is read whole."""

    stream: str
    mode: str
    dice: random.Random
    rows: list[dict[str, Any]] = field(default_factory=list)
    extras: dict[str, bool] = field(default_factory=dict)  # the columns that came: are they there now?
    left: set[str] = field(default_factory=set)  # columns that were away at some time
    width: int = 0
    clock: int = 0

    @property
    def columns(self) -> dict[str, pa.DataType]:
        """Its columns as they are now."""
        extras = {name: pa.string() for name, there in self.extras.items() if there}
        return {"Id": pa.int32(), "Amount": AMOUNTS[self.width], "Changed": pa.int64(), **extras}

    def day(self) -> None:
        """Rows come and change; of a table that is read whole they also go. Sometimes a row comes late."""
        for _ in range(self.dice.randint(0, 4)):
            self.put(self.dice.randint(1, 60), self.clock + 1)
        if self.mode == "merge" and self.dice.random() < 0.2 and self.clock > LOOKBACK:
            self.put(self.dice.randint(1, 60), self.clock - self.dice.randrange(LOOKBACK))
        if self.mode == "overwrite" and self.rows and self.dice.random() < 0.3:
            self.rows.pop(self.dice.randrange(len(self.rows)))

    def put(self, id_: int, changed: int) -> None:
        """A row is written; where the table has keys it replaces the one with its key."""
        self.clock = max(self.clock, changed)
        row = {"Id": id_, "Amount": self.dice.randint(-99, 99), "Changed": changed}
        row |= {name: self.dice.choice([None, "a", "ç"]) for name, there in self.extras.items() if there}
        same = next((each for each in self.rows if each["Id"] == id_), None) if self.mode != "append" else None
        if same is None:
            self.rows.append(row)
        elif changed > same["Changed"]:  # what comes late does not undo what is newer
            same.update(row)

    def alter(self) -> str:
        """A column comes, goes, or comes back with its values."""
        known = list(self.extras)
        if known and self.dice.random() < 0.6:
            name = self.dice.choice(known)
            self.extras[name] = not self.extras[name]
            self.left.add(name)
            return f"{name} {'comes back' if self.extras[name] else 'goes'}"
        self.extras[f"Extra{len(known)}"] = True
        return "a column comes"

    def data(self, after: int | None, columns: dict[str, pa.DataType]) -> pa.Table:
        """The rows behind a moment, with columns of these types."""
        found = [row for row in self.rows if after is None or row["Changed"] > after]
        return pa.table({name: pa.array([of_kind(row.get(name), kind) for row in found], kind) for name, kind in columns.items()})

    def load(self, stage: Path, day: int, bookmark: Bookmark, fault: str = "") -> Made:
        """What a tap reads on a day: from the bookmark on, or whole where there is none or a column is new.

        `fault` makes a load that must be refused: gap, null or kind. It is left out of a load that reads the table whole.
        """
        columns = dict(self.columns)
        told = {name: str(kind) for name, kind in columns.items()}
        given: dict[str, Any] = {"started": day, "key_columns": ["Id"] if self.mode == "merge" else []}
        if self.mode == "overwrite":
            return make_load(stage, self.stream, [self.data(None, columns)], bookmark=None, **given)
        given["bookmark"] = {"replication_key": "Changed", "replication_key_value": str(self.clock), "columns": told}
        new = told.keys() - (bookmark or {}).get("columns", {}).keys()
        if bookmark is None or any(not self.may_stay_null(name) for name in new):
            cursor = {"column": "Changed", "from": None, "to": str(self.clock)}
            return make_load(stage, self.stream, [self.data(None, columns)], cursor=cursor, **given)
        start = int(bookmark["replication_key_value"])
        if self.mode == "merge":
            start -= LOOKBACK
        if fault == "gap":
            start += 1_000_000
        if fault == "kind":
            columns["Amount"] = pa.string()
        data = self.data(start, columns)
        if fault == "null" and self.mode == "merge" and len(data):
            nothing = pa.array([None, *data.column("Id").to_pylist()[1:]], pa.int32())
            data = data.set_column(0, "Id", nothing)
        cursor = {"column": "Changed", "from": str(start), "to": str(self.clock)}
        return make_load(stage, self.stream, [data], cursor=cursor, mode=self.mode, **given)

    def may_stay_null(self, name: str) -> bool:
        """Whether rows that were read before may hold NULL in a new column: half of those that were never there before."""
        return name not in self.left and int(name[-1]) % 2 == 0

    def content(self) -> Counter[tuple[Any, ...]]:
        """Its rows, each as often as it is there."""
        return Counter(tuple(row.get(name) for name in self.columns) for row in self.rows)


def of_kind(value: Any, kind: pa.DataType) -> Any:
    """A value as a column of this type has it."""
    if value is None or not (pa.types.is_string(kind) or pa.types.is_decimal(kind)):
        return value
    return str(value) if pa.types.is_string(kind) else Decimal(value)
