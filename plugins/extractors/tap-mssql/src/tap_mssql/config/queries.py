"""What `queries` may say: streams that are a SELECT of one's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from singer_arrow import settings
from tap_mssql.config import conditions

Text = Annotated[str, Meta(min_length=1)]
_NAME = re.compile(r"[^.*?!]+\.[^.*?]+")
_SELECT = re.compile(r"[\s(]*SELECT\b", re.IGNORECASE)


class Query(settings.Settings, frozen=True, kw_only=True):
    """One query, which stands where a table's name would: the server reads it as a derived table, and nothing else."""

    label: ClassVar[str] = "name"

    name: Annotated[Text, Meta(description="Its name as schema.table, for its stream, its table in Delta, and patterns.")]
    sql: Annotated[
        Text,
        Meta(
            description="One SELECT, each of its columns with a name of its own; no WITH, and ORDER BY only behind TOP.",
            examples=[
                "SELECT o.SalesOrderID, c.Name FROM Sales.SalesOrderHeader AS o JOIN Sales.Customer AS c ON c.ID = o.CustomerID"
            ],
        ),
    ]
    key: Annotated[tuple[Text, ...], Meta(description="Columns of it that identify a row.")] = ()

    @property
    def schema(self) -> str:
        """The part of its name in front of the dot."""
        return self.name.partition(".")[0]

    @property
    def table(self) -> str:
        """The part of its name behind the dot."""
        return self.name.partition(".")[2]

    @classmethod
    def contradictions(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """A name that is none, a text that is no single SELECT, and a key that names a column twice."""
        name, sql, key = values.get("name"), values.get("sql"), values.get("key") or ()
        if name and not _NAME.fullmatch(name):
            yield "name", "must be schema.table, without * ? and another dot"
        if sql and not _SELECT.match(sql):
            yield "sql", "must begin with SELECT; make a view of what begins with WITH"
        elif sql and (problem := conditions.problem(sql, "SELECT")):
            yield "sql", problem
        if len({column.lower() for column in key}) < len(key):
            yield "key", "names a column twice"
