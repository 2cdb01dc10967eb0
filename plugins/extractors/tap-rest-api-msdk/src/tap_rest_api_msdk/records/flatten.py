"""Nested records as flat ones, by the published tap's rule: the members of `a: {b: …}` become `a_b`, `-` and `.` become `_`.

What is declared as a column, named in except_keys, or an array, stays one value: its JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

RAW_COLUMN = "_sdc_raw_json"
_NAMES = str.maketrans("-.", "__")


class Flattener:
    """Makes one stream's records flat. `columns` are those that are declared; `whole` are the members that stay JSON."""

    def __init__(self, columns: Collection[str], whole: Collection[str]) -> None:
        self._columns, self._whole = frozenset(columns), frozenset(whole)
        self._encoder = msgspec.json.Encoder(decimal_format="number")

    def records(self, records: Sequence[msgspec.Raw]) -> tuple[list[msgspec.Raw], dict[int, str]]:
        """Flat records, numbers with all their digits; and why, by place, some could not be made flat: they are as they came."""
        flat, unfit = list(records), dict[int, str]()
        for place, raw in enumerate(records):
            try:
                flat[place] = msgspec.Raw(self._encoder.encode(self.record(_decoded(raw))))
            except (ValueError, RecursionError) as error:
                unfit[place] = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        return flat, unfit

    def record(self, record: Any) -> Any:
        """One record; what is no object stays as it is, for the converter to refuse."""
        if not isinstance(record, dict):
            return record
        flat: dict[str, Any] = {}
        for name, value in self._members(record, ""):
            if name in flat:
                raise ValueError(f"two members of a record become the column {name}; name one of them in except_keys")
            flat[name] = value
        return flat

    def _members(self, record: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for key, value in record.items():
            path = prefix + key
            name = path.translate(_NAMES)
            if isinstance(value, dict) and path not in self._whole and name not in self._columns:
                yield from self._members(value, path + "_")
            elif value is None and self._is_above(name):
                continue  # an object that is missing as a whole
            else:
                yield name, value

    def _is_above(self, name: str) -> bool:
        return name not in self._columns and any(column.startswith(name + "_") for column in self._columns)


def may_matter(columns: Collection[str]) -> bool:
    """Whether a column could be of a nested record: none of a name without `_` is."""
    return not columns or any("_" in column for column in columns)


def is_needed(records: Sequence[msgspec.Raw], columns: Collection[str]) -> bool:
    """Whether some record of a page has a member that is no column and would become columns, or one, if it were flat."""
    for raw in records:
        try:
            members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        except (msgspec.MsgspecError, RecursionError):
            continue
        for name, value in members.items():
            if name not in columns and (bytes(value)[:1] == b"{" or name.translate(_NAMES) != name or bytes(value) == b"null"):
                return True
    return False


def with_raw(records: Sequence[msgspec.Raw], originals: Sequence[msgspec.Raw]) -> list[msgspec.Raw]:
    """Each record with itself as it came in `_sdc_raw_json`."""
    name = json.dumps(RAW_COLUMN).encode()
    made = []
    for record, original in zip(records, originals, strict=True):
        text = bytes(record).strip()
        joint = b"" if text == b"{}" else b","
        made.append(
            msgspec.Raw(text[:-1].rstrip() + joint + name + b":" + bytes(original) + b"}") if text[:1] == b"{" else record
        )
    return made


def _decoded(raw: msgspec.Raw) -> Any:
    return json.loads(bytes(raw), parse_float=Decimal, parse_int=Decimal)
