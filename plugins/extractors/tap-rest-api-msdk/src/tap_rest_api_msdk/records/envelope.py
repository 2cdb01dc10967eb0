"""From an answer's bytes to a page: its records as JSON, the API's total, what leads to the next page.

One pass of msgspec where the paths are plain, else a walk over the whole answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import cache, cached_property, partial
from typing import Any

import msgspec

from singer_arrow.decoded import Decoded
from tap_rest_api_msdk import jsonpaths
from tap_rest_api_msdk.client.answers import Answer
from tap_rest_api_msdk.errors import ToldError, Unreadable

Place = tuple[str, ...]
_NO_PAGE = (b"", b"null")
_EMPTY = ("null", "false", "0", '""', "[]", "{}")


class Page(msgspec.Struct, frozen=True, dict=True):
    """The records of an answer as JSON, how many the API sent (a filter in records_path may leave some out), its total.

    `token` is what stands at next_page_token_path; `links` are those of the header; `headers` by their names in lower case.
    `exists` is false where the API says, by `status` or `null`, that there is no such page. `size` are the answer's bytes,
    `doubled` the records that came a second time and are not in `records`. `what` names stream and page in messages.
    """

    records: Sequence[msgspec.Raw]
    sent: int
    total: int | None = None
    token: Any = None
    links: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    exists: bool = True
    status: int = 200
    size: int = 0
    doubled: int = 0
    what: str = ""

    @cached_property
    def texts(self) -> list[bytes]:
        """The records' bytes, which keep their hashes."""
        return list(map(bytes, self.records))


_Found = tuple[Sequence[msgspec.Raw], int, Any, Any]  # records, how many the API sent, total and token
Read = Callable[[bytes], _Found]


class Envelope:
    """Reads the answers of one stream. Paths are JSONPaths; None for what the answers do not have."""

    def __init__(self, records_path: str, total_path: str | None, token_path: str | None, error_paths: Sequence[str]) -> None:
        self.filters = jsonpaths.filters(records_path)  # some of what the API sends may be no record
        self._typed = _typed(records_path, total_path, token_path, error_paths)
        self._read = self._typed or _walking(records_path, total_path, token_path, error_paths)

    def page(self, answer: Answer, what: str = "", record_type: type[msgspec.Struct] | None = None) -> Page:
        """The page of an answer; its records are Decoded where the paths are plain and each is of `record_type`.

        Raises Unreadable for what is no JSON, ToldError for an error in the place of records, msgspec.ValidationError for JSON
        that is not what the paths say.
        """
        links, headers = answer.links, answer.headers
        body = answer.json
        if answer.status not in (200, 201, 202, 203) or body.strip() in _NO_PAGE:
            return Page([], 0, links=links, headers=headers, exists=False, status=answer.status, what=what)
        try:
            made = self._typed.made(body, record_type) if record_type and isinstance(self._typed, _Plain) else None
            records, sent, total, token = made or self._read(body)
        except RecursionError:
            raise msgspec.ValidationError("the answer is nested too deeply") from None
        except msgspec.ValidationError:
            raise
        except (msgspec.MsgspecError, ValueError) as error:
            raise Unreadable(str(error)) from error
        return Page(records, sent, _number(total), token, links, headers, size=len(body), what=what)


def _typed(records_path: str, total_path: str | None, token_path: str | None, error_paths: Sequence[str]) -> Read | None:
    """The quick way: a struct with just the members on the way; None where the paths are not plain."""
    records_at = jsonpaths.list_steps(records_path)
    others = {
        "total": jsonpaths.steps(total_path) if total_path else None,
        "token": jsonpaths.steps(token_path) if token_path else None,
    }
    if records_at is None or (total_path and others["total"] is None) or (token_path and others["token"] is None):
        return None
    if not records_at:
        listed = msgspec.json.Decoder(list[msgspec.Raw])
        return None if total_path or token_path else lambda body: _counted(listed.decode(body))
    places = {"records": tuple(records_at)} | {name: tuple(place) for name, place in others.items() if place}
    for number, path in enumerate(error_paths):
        place = jsonpaths.steps(path)
        if place is None:
            return None
        places[f"error{number}"] = tuple(place)
    if _meet(list(places.values())):
        return None
    return _Plain(records_path, places, [*others])


class _Plain:
    """Reads answers whose records, total and token are at places of their own: `others` names the last two."""

    def __init__(self, records_path: str, places: Mapping[str, Place], others: Sequence[str]) -> None:
        self._records_path, self._places, self._others = records_path, places, others
        self._kinds: dict[Place, Any] = dict.fromkeys(places.values(), msgspec.Raw)
        self._whole = msgspec.json.Decoder(_struct(self._kinds))
        self._usual = self._decoder(msgspec.Raw)
        self._made: tuple[Any, msgspec.json.Decoder[Any]] = (msgspec.Raw, self._usual)  # for the newest record type
        self._listed = msgspec.json.Decoder(list[msgspec.Raw])

    def _decoder(self, record: Any) -> msgspec.json.Decoder[Any]:
        return msgspec.json.Decoder(_struct(self._kinds | {self._places["records"]: list[record] | None}))

    def made(self, body: bytes, record_type: type[msgspec.Struct]) -> _Found | None:
        """The same with records decoded to a type; None where one is not of it, and where there are none."""
        known, decoder = self._made
        if known is not record_type:
            decoder = self._decoder(record_type)
            self._made = (record_type, decoder)
        try:
            envelope = decoder.decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        structs = _at(envelope, self._places["records"])
        if not structs:
            return None
        return Decoded(structs, partial(self._raws, body)), len(structs), *self._values(envelope)

    def _raws(self, body: bytes) -> list[msgspec.Raw]:
        found: list[msgspec.Raw] = _at(self._usual.decode(body), self._places["records"])
        return found

    def _values(self, envelope: Any) -> Iterator[Any]:
        """Total and token."""
        return (_value(_at(envelope, self._places[name]) if name in self._places else None) for name in self._others)

    def __call__(self, body: bytes) -> _Found:
        """Records, how many the API sent, total and token. Raises what Envelope.page does."""
        with suppress(msgspec.ValidationError):
            envelope = self._usual.decode(body)
            if plain := _at(envelope, self._places["records"]):
                return plain, len(plain), *self._values(envelope)
        envelope = self._whole.decode(body)
        found = {name: _at(envelope, place) for name, place in self._places.items()}
        raw = found["records"]
        text = bytes(raw) if raw is not None else b"null"
        records = self._listed.decode(text) if text[:1] == b"[" else [raw] if text[:1] == b"{" else []
        if not records:
            _refuse_errors([bytes(v).decode() for name, v in found.items() if name.startswith("error") and v is not None])
            if raw is None or text[:1] not in (b"[", b"n"):
                raise msgspec.ValidationError(f"there is no list of records at {self._records_path}")
        return records, len(records), *self._values(envelope)


def _counted(records: list[msgspec.Raw]) -> _Found:
    return records, len(records), None, None


def _meet(places: Sequence[Place]) -> bool:
    """Whether one place lies within another, so that no struct can hold both."""
    return any(a[: len(b)] == b for i, a in enumerate(places) for j, b in enumerate(places) if i != j)


def _struct(kinds: Mapping[Place, Any]) -> type[msgspec.Struct]:
    """A struct type with just the members on the way to places, which have a type each; all others are skipped unread."""
    members: dict[str, dict[Place, Any]] = {}
    for place, kind in kinds.items():
        members.setdefault(place[0], {})[place[1:]] = kind
    slots = {f"f{number}": name for number, name in enumerate(members)}
    fields: list[Any] = []
    for slot, name in slots.items():
        below = members[name]
        fields.append((slot, below[()] if () in below else _struct(below) | None, None))
    return msgspec.defstruct("Envelope", fields, rename=slots, gc=False)


def _at(envelope: Any, place: Place) -> Any:
    for name in place:
        if envelope is None:
            return None
        envelope = getattr(envelope, _slots(envelope.__class__)[name])
    return envelope


@cache
def _slots(envelope: type[msgspec.Struct]) -> Mapping[str, str]:
    """The attribute for each member."""
    return {each.encode_name: each.name for each in msgspec.structs.fields(envelope)}


_with_digits = json.JSONDecoder(parse_float=Decimal)  # json.loads would make one for each page


def _value(raw: msgspec.Raw | None) -> Any:
    return None if raw is None else _with_digits.decode(bytes(raw).decode())


def _walking(records_path: str, total_path: str | None, token_path: str | None, error_paths: Sequence[str]) -> Read:
    """The general way: any JSONPath, at the price of Python objects. Numbers keep their digits."""
    records_at = jsonpaths.parsed(records_path)
    list_at = jsonpaths.list_of(records_at)
    total_at, token_at = (jsonpaths.parsed(path) if path else None for path in (total_path, token_path))
    errors_at = [jsonpaths.parsed(path) for path in error_paths]
    encoder = msgspec.json.Encoder(decimal_format="number")

    def first(path: Any, answer: Any) -> Any:
        return next((match.value for match in path.find(answer)), None) if path is not None else None

    def read(body: bytes) -> _Found:
        answer = json.loads(body, parse_float=_Number, parse_constant=_no_constant)
        found = [match.value for match in records_at.find(answer)]
        if len(found) == 1 and isinstance(found[0], list):
            found = found[0]
        if not found:
            _refuse_errors(
                [encoder.encode(_exact(value)).decode() for path in errors_at if (value := first(path, answer)) is not None]
            )
        if list_at is None and not found:
            raise msgspec.ValidationError(f"there are no records at {records_path}")
        sent = len(found)
        if list_at is not None:
            lists = [match.value for match in list_at.find(answer)]
            if not found and not any(isinstance(each, list | None) for each in lists):
                raise msgspec.ValidationError(f"there is no list of records at {records_path}")
            sent = max(sent, sum(len(each) for each in lists if isinstance(each, list)))
        records = [msgspec.Raw(encoder.encode(_exact(record))) for record in found if record is not None]
        return records, sent, first(total_at, answer), first(token_at, answer)

    return read


class _Number(float):
    """A number with a point, which a filter compares as a float, and which keeps its digits."""

    text: str

    def __new__(cls, text: str) -> _Number:
        number = super().__new__(cls, text)
        number.text = text
        return number


def _exact(value: Any) -> Any:
    """The value with its numbers as they came: Decimals, where msgspec would round them."""
    if isinstance(value, dict):
        return {name: _exact(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_exact(each) for each in value]
    if isinstance(value, _Number):
        return Decimal(value.text)
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) >> 63 else value


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _refuse_errors(told: Sequence[str]) -> None:
    for text in told:
        if text.strip() not in _EMPTY:
            raise ToldError(text[:500])


def _number(total: Any) -> int | None:
    """A total as it is written by APIs: 250, 250.0, "250"; None for null."""
    if total is None:
        return None
    try:
        number = Decimal(str(total).strip())
        if isinstance(total, bool) or number != int(number) or number < 0:
            raise ValueError
        return int(number)
    except (ArithmeticError, ValueError):
        raise msgspec.ValidationError(f"the total is no whole number: {str(total)[:80]!r}") from None
