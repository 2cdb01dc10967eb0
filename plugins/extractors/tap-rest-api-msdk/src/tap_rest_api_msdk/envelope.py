"""From an answer's bytes to typed records and the API's total, in one pass of msgspec where the paths are plain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from singer_arrow.records import RecordDecoder
from tap_rest_api_msdk import jsonpaths

Place = list[str]


@dataclass(frozen=True)
class Answer:
    """One page: its records (structs of the decoder's record type), and the total if the answer has one."""

    records: list[Any]
    total: int | None


Reader = Callable[[bytes], Answer]


def reader(decoder: RecordDecoder, records_path: str, total_path: str | None) -> Reader:
    """A function from bytes to Answer. It raises msgspec.MsgspecError when they are not what decoder and paths say."""
    records_at = jsonpaths.list_steps(records_path)
    total_at = jsonpaths.steps(total_path) if total_path else []
    if records_at is None or total_at is None or (total_at and total_at == records_at[: len(total_at)]):
        return _walking(decoder, records_path, total_path)
    return _typed(decoder, records_at, total_at)


def _typed(decoder: RecordDecoder, records_at: Place, total_at: Place) -> Reader:
    record_list = list[decoder.record_type]  # type: ignore[name-defined]
    if not records_at:
        bare = msgspec.json.Decoder(record_list)
        return lambda body: Answer(bare.decode(body), None)
    whole = msgspec.json.Decoder(_envelope(record_list, records_at, total_at))

    def read(body: bytes) -> Answer:
        envelope = whole.decode(body)
        return Answer(_at(envelope, records_at), _number(_at(envelope, total_at)) if total_at else None)

    return read


def _envelope(leaf: Any, records_at: Place, total_at: Place) -> Any:
    """A struct type with just the fields on the way to the records and to the total; all others are skipped unread."""
    fields: list[Any] = []
    if records_at:
        name, rest = records_at[0], records_at[1:]
        below = total_at[1:] if total_at[:1] == [name] else []
        fields.append((name, leaf if not rest else _envelope(leaf, rest, below)))
    if total_at and total_at[0] not in records_at[:1]:
        name, rest = total_at[0], total_at[1:]
        fields.append((name, (_envelope(leaf, [], rest) if rest else int | str) | None, None))
    slots = {f"f{i}": field[0] for i, field in enumerate(fields)}
    typed = [(slot, *field[1:]) for slot, field in zip(slots, fields, strict=True)]
    return msgspec.defstruct("Envelope", typed, rename=slots, gc=False)


def _at(envelope: Any, place: Place) -> Any:
    for name in place:
        if envelope is None:
            return None
        slots = {f.encode_name: f.name for f in msgspec.structs.fields(envelope)}
        envelope = getattr(envelope, slots[name])
    return envelope


def _walking(decoder: RecordDecoder, records_path: str, total_path: str | None) -> Reader:
    """The general way: any JSONPath, at the price of reading the answer twice."""
    from singer_sdk.helpers.jsonpath import extract_jsonpath

    loose = msgspec.json.Decoder(float_hook=Decimal)
    encoder = msgspec.json.Encoder(decimal_format="number")
    record_list = msgspec.json.Decoder(list[decoder.record_type])  # type: ignore[name-defined]

    def read(body: bytes) -> Answer:
        answer = loose.decode(body)
        records = record_list.decode(encoder.encode(list(extract_jsonpath(records_path, answer))))
        total = next(iter(extract_jsonpath(total_path, answer)), None) if total_path else None
        return Answer(records, _number(total))

    return read


def _number(total: Any) -> int | None:
    if total is None:
        return None
    try:
        return int(total)
    except (TypeError, ValueError) as error:
        raise msgspec.ValidationError(f"the total is no whole number: {total!r}") from error
