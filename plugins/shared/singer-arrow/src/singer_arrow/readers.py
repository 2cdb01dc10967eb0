"""One column of JSON values → an Arrow array, exactly, or not at all (docs/contracts.md, Records).

A reader says which Python type msgspec decodes a value to (`slot`), and makes the array of a whole column from such values. Each
value is one of its type exactly, or `array` raises: any of UNFIT, since it is the libraries that find most of it. Numbers with
digits are decoded to their text (msgspec.Raw), since a float has lost them by then.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from singer_arrow import compute as pc
from singer_arrow.declared import Declared

NULL = msgspec.Raw(b"null")
_SHOWN = 60  # characters of a value that a reason shows
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_US_OF_YEARS = (-62_135_596_800_000_000, 253_402_300_799_999_999)  # 0001-01-01 to 9999-12-31, in µs since 1970
_DAYS_OF_YEARS = (-719_162, 2_932_896)
_FINER = {"us": r"(\.\d{6})\d+", "ns": r"(\.\d{7})\d+"}  # digits that are cut: Delta's text of a time has seven
_CUT = {"us": r"\.\d{6}0*[1-9]", "ns": r"\.\d{7}0*[1-9]"}


class Unfit(ValueError):
    """A value that its column does not hold; the message is the reason, without the value where it is secret."""


UNFIT = (msgspec.MsgspecError, pa.ArrowException, ValueError, OverflowError, RecursionError, InvalidOperation)


class Made(NamedTuple):
    """A column's values; of times also which of them lost digits (None: none did), and their texts as they came."""

    values: pa.Array
    cut: pa.Array | None = None
    texts: pa.Array | None = None


class Reader:
    """Reads one column. `slot` is the type that msgspec decodes a value to, `default` what a missing one becomes."""

    slot: Any = str | None
    default: Any = None
    what: str = "text"  # what `wanted` says unless a class says more

    def __init__(self, column: Declared) -> None:
        self.column = column
        self.arrow: pa.DataType = column.field.type
        self._decoder = msgspec.json.Decoder(list[self.slot])  # type: ignore[name-defined]

    def made(self, values: list[Any]) -> Made:
        """The array of decoded values. Raises any of UNFIT."""
        return Made(self.array(values))

    def array(self, values: list[Any]) -> pa.Array:
        """The same without more."""
        return pa.array(values, self.arrow)

    def decoded(self, texts: Sequence[bytes | msgspec.Raw]) -> list[Any]:
        """JSON texts as values of `slot`. Raises any of UNFIT."""
        found: list[Any] = self._decoder.decode(b"[" + b",".join(texts) + b"]")
        return found

    def reason(self, text: bytes, error: BaseException) -> str:
        """Why the value of this JSON text is unfit, for people."""
        if isinstance(error, Unfit):
            return str(error)
        if isinstance(error, RecursionError):
            return "it is nested deeper than some 1,000 levels"
        return f"{self.shown(text)} is not {self.wanted()}"

    def wanted(self) -> str:
        """What a value should be, for a reason."""
        return self.what

    def shown(self, text: bytes) -> str:
        """A value as a reason shows it."""
        if self.column.is_secret:
            return "the value (secret)"
        shown = text.decode(errors="replace")
        return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


class Booleans(Reader):
    """true and false."""

    slot = bool | None
    what = "true or false"


class Integers(Reader):
    """Whole numbers: 5, and 5.0 and 1e3 as well."""

    slot = int | None

    def decoded(self, texts: Sequence[bytes | msgspec.Raw]) -> list[Any]:
        """JSON texts as int or None."""
        try:
            return super().decoded(texts)
        except msgspec.MsgspecError:
            return [self._whole(bytes(text)) for text in texts]

    def _whole(self, text: bytes) -> int | None:
        if text == b"null":
            return None
        number = decimal_of(text.decode()) if text[:1] not in b'"tf[{' else None
        if number is None:
            raise Unfit(f"{self.shown(text)} is not a whole number")
        if number and (number.adjusted() >= 20 or number != number.to_integral_value()):
            raise Unfit(f"{self.shown(text)} is not a whole number that {self.arrow} holds")
        return int(number) if number else 0

    def wanted(self) -> str:
        """What a value should be, for a reason."""
        return f"a whole number that {self.arrow} holds"


class Digits(Reader):
    """Numbers whose every digit counts: read as text."""

    slot = msgspec.Raw
    default = NULL

    def decoded(self, texts: Sequence[bytes | msgspec.Raw]) -> list[Any]:
        """The texts themselves."""
        return list(texts)

    def array(self, values: list[Any]) -> pa.Array:
        """Raises any of UNFIT."""
        joined = b"\n".join(values)
        return self.numbers(texts_of(values, joined), values, joined)

    def numbers(self, texts: pa.Array, values: list[Any], joined: bytes) -> pa.Array:
        """The numbers of texts; `values` are the same, as they came, and `joined` all of them. Raises any of UNFIT."""
        raise NotImplementedError


class Decimals(Digits):
    """Decimals, as numbers or as text of one: refused where digits other than zeros do not fit."""

    def __init__(self, column: Declared) -> None:
        super().__init__(column)
        self._sure = (
            38 - self.arrow.scale
        )  # text of so many characters, without an exponent, stays below 10**38 when it is scaled

    def numbers(self, texts: pa.Array, values: list[Any], joined: bytes) -> pa.Array:
        """Raises any of UNFIT."""
        if len(values) == 1:
            return pa.array([self._one(bytes(values[0]))], self.arrow)
        # where what it computes leaves 128 bits, the cast makes another number of it, without an error (pyarrow 26)
        longest = pc.min_max(pc.binary_length(texts)).as_py()["max"] or 0
        if longest <= self._sure and not _has_exponent(joined):
            return self._cast(texts)
        unsure = [len(text) > self._sure or _has_exponent(text) for text in map(bytes, values)]
        ones = [self._one(bytes(value)) if is_unsure else None for value, is_unsure in zip(values, unsure, strict=True)]
        return pc.if_else(pa.array(unsure), pa.array(ones, self.arrow), self._cast(pc.if_else(pa.array(unsure), pa.NA, texts)))

    def _cast(self, texts: pa.Array) -> pa.Array:
        try:
            found = pc.cast(texts, self.arrow)
        except pa.ArrowInvalid:
            bare = pc.utf8_trim(texts, '"')
            if bare.equals(texts):
                raise
            found = pc.cast(bare, self.arrow)
        found.validate(full=True)  # digits before the point
        return found

    def _one(self, text: bytes) -> Decimal | None:
        """One number, however it is written."""
        if text == b"null":
            return None
        written = msgspec.json.decode(text, type=str) if text[:1] == b'"' else text.decode()
        number = decimal_of(written)
        if number is None:
            raise Unfit(f"{self.shown(text)} is not a number")
        if not number:
            return Decimal(0)
        sign, digits, exponent = number.as_tuple()
        assert isinstance(exponent, int)
        kept = "".join(map(str, digits)).rstrip("0")
        exponent += len(digits) - len(kept)
        if number.adjusted() >= self.arrow.precision - self.arrow.scale or -exponent > self.arrow.scale:
            raise Unfit(f"{self.shown(text)} has digits that {self.arrow} does not hold")
        return Decimal((sign, tuple(map(int, kept)), exponent))

    def wanted(self) -> str:
        """What a value should be, for a reason."""
        return f"a number that {self.arrow} holds with all its digits"


class Floats(Digits):
    """Doubles and reals. A number is one exactly where it is what the float prints with as many digits, 17 (real: 9) at most."""

    def __init__(self, column: Declared) -> None:
        super().__init__(column)
        self._is_double = pa.types.is_float64(self.arrow)
        self._always = 15 if self._is_double else 6  # so many digits are held, whatever they are
        self._normal = 1e-290 if self._is_double else 1e-30  # above it

    def numbers(self, texts: pa.Array, values: list[Any], joined: bytes) -> pa.Array:
        """Raises any of UNFIT."""
        found = pc.cast(texts, self.arrow)
        doubtful = self._doubtful(texts, found)
        if doubtful is not None:
            for text, value in zip(texts.filter(doubtful).to_pylist(), found.filter(doubtful).to_pylist(), strict=True):
                if text is not None and not is_exact(text, value, self._is_double):
                    raise Unfit(f"{self.shown(text.encode())} has digits that {self.arrow} does not hold{self._advice}")
        return found

    @property
    def _advice(self) -> str:
        return "; declare x-sql-datatype: decimal(p,s), or a type of text, to keep them" if self.column.is_bare else ""

    def _doubtful(self, texts: pa.Array, found: pa.Array) -> pa.Array | None:
        """Which values may not be what was written: of many digits, or nearly nothing, or infinite. NULLs are false or NULL."""
        size, length = pc.abs(found), pc.binary_length(texts)
        long, small, infinite = pc.greater(length, self._always), pc.less(size, self._normal), pc.is_inf(found)
        if pc.any(small).as_py():
            small = pc.and_(small, pc.and_(pc.not_equal(texts, "0"), pc.not_equal(texts, "0.0")))
        doubtful = pc.or_(pc.or_(long, small), infinite)
        return doubtful if pc.any(doubtful).as_py() else None

    def wanted(self) -> str:
        """What a value should be, for a reason."""
        return "a number"


class Texts(Reader):
    """Text; half a surrogate pair is none."""

    def reason(self, text: bytes, error: BaseException) -> str:
        """Why the value of this JSON text is unfit, for people."""
        if text[:1] == b'"':
            return f"{self.shown(text)} is text that UTF-8 does not hold"
        return super().reason(text, error)


class Binary(Reader):
    """Bytes as base64."""

    what = "base64"

    def array(self, values: list[Any]) -> pa.Array:
        """Raises any of UNFIT."""
        return pa.array([None if v is None else base64.b64decode(v, validate=True) for v in values], self.arrow)


class JsonTexts(Reader):
    """The JSON text of any value, as it came; null is NULL."""

    slot = msgspec.Raw
    default = NULL
    what = "JSON in UTF-8"

    def decoded(self, texts: Sequence[bytes | msgspec.Raw]) -> list[Any]:
        """The texts themselves, of which those that are not msgspec's own are checked."""
        for text in texts:
            if not isinstance(text, msgspec.Raw):
                msgspec.json.decode(text)
        return list(texts)

    def array(self, values: list[Any]) -> pa.Array:
        """Raises any of UNFIT."""
        return _without_null(pa.array([*map(bytes, values)], pa.string()))


class Dates(Reader):
    """YYYY-MM-DD, in the years 1 to 9999."""

    what = "a date such as 2026-11-24, in the years 1 to 9999"

    def array(self, values: list[Any]) -> pa.Array:
        """Raises any of UNFIT."""
        return within(pc.cast(pa.array(values, pa.string()), self.arrow), pa.int32(), _DAYS_OF_YEARS)


class Moments(Reader):
    """Timestamps and times of day; digits finer than the type's are cut, and those that were no zeros are counted."""

    _longest: int | None = None  # characters of a text whose digits are all kept; None: Arrow itself takes no finer ones

    def made(self, values: list[Any]) -> Made:
        """The array, and which values lost digits. Raises any of UNFIT."""
        texts = pa.array(values, pa.string())
        try:
            if self._longest is None or (pc.max(pc.binary_length(texts)).as_py() or 0) <= self._longest:
                return Made(self.moments(texts), None, texts)
            raise pa.ArrowInvalid("more digits than are kept")
        except pa.ArrowInvalid:
            shorter = pc.replace_substring_regex(texts, _FINER[self.arrow.unit], r"\1")
            if shorter.equals(texts):
                raise
        return Made(self.moments(shorter), pc.match_substring_regex(texts, _CUT[self.arrow.unit]), texts)

    def array(self, values: list[Any]) -> pa.Array:
        """Raises any of UNFIT."""
        return self.made(values).values

    def moments(self, texts: pa.Array) -> pa.Array:
        """Raises pa.ArrowInvalid or Unfit."""
        raise NotImplementedError


class Timestamps(Moments):
    """ISO 8601, with a time zone where the type has one, and without where it has none."""

    def moments(self, texts: pa.Array) -> pa.Array:
        """Raises pa.ArrowInvalid or Unfit."""
        return within(pc.cast(texts, self.arrow), pa.int64(), _US_OF_YEARS)

    def wanted(self) -> str:
        """What a value should be, for a reason."""
        zone, example = ("with", "2026-11-24T16:12:24Z") if self.arrow.tz else ("without", "2026-11-24T16:12:24")
        other = "datetime2" if self.arrow.tz else "datetimeoffset"
        return (
            f"a time {zone} a time zone such as {example}, in the years 1 to 9999 (x-sql-datatype: {other} is for those "
            f"{'without' if self.arrow.tz else 'with'} one)"
        )


class Times(Moments):
    """HH:MM:SS with up to 6 or 7 digits behind; read as a moment of the first day, which Arrow parses."""

    what = "a time such as 16:12:24.5"

    def __init__(self, column: Declared) -> None:
        super().__init__(column)
        self._longest = len("16:12:24.1234567") if self.arrow.unit == "ns" else None

    def moments(self, texts: pa.Array) -> pa.Array:
        """Raises pa.ArrowInvalid or Unfit."""
        days = pc.cast(pc.binary_join_element_wise("1970-01-01T", texts, ""), pa.timestamp(self.arrow.unit))
        return pc.cast(days, self.arrow)


def reader_of(column: Declared) -> Reader:
    """The reader of a column."""
    arrow = column.field.type
    if column.is_json:
        return JsonTexts(column)
    if pa.types.is_boolean(arrow):
        return Booleans(column)
    if pa.types.is_integer(arrow):
        return Integers(column)
    if pa.types.is_floating(arrow):
        return Floats(column)
    if pa.types.is_decimal(arrow):
        return Decimals(column)
    if pa.types.is_timestamp(arrow):
        return Timestamps(column)
    if pa.types.is_time(arrow):
        return Times(column)
    if pa.types.is_date(arrow):
        return Dates(column)
    return Binary(column) if pa.types.is_binary(arrow) else Texts(column)


def texts_of(values: Sequence[bytes | msgspec.Raw], joined: bytes) -> pa.Array:
    """The texts of JSON scalars, `null` as NULL; `joined` is the same text line by line. Raises any of UNFIT."""
    if not values:
        return pa.array([], pa.string())
    found = pc.split(pa.array([joined], pa.string()), "\n").values
    if len(found) != len(values):
        raise Unfit("a value goes over several lines")
    return _without_null(found) if b"null" in joined else found


def decimal_of(text: str) -> Decimal | None:
    """A number as text, exactly; None where it is none, or its exponent has 18 digits."""
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def is_exact(text: str, value: float, is_double: bool) -> bool:
    """Whether a float is the number that a text says: the float itself, digit by digit, or what it prints with as many digits.

    Of more digits than 17 (real: 9) a float keeps none. NaN and the infinities are themselves.
    """
    if not math.isfinite(value):
        return text.lstrip("-") in ("NaN", "Infinity")
    number = decimal_of(text)
    if number is None:
        return False
    if Decimal(value) == number:
        return True
    digits = len("".join(map(str, number.as_tuple().digits)).rstrip("0"))
    return 0 < digits <= (17 if is_double else 9) and Decimal(f"{value:.{digits - 1}e}") == number


def within(values: pa.Array, integer: pa.DataType, bounds: tuple[int, int]) -> pa.Array:
    """The values. Raises Unfit where one is outside the years that Delta and Python have."""
    if len(values) > values.null_count:
        low, high = pc.min_max(pc.cast(values, integer)).as_py().values()
        if low < bounds[0] or high > bounds[1]:
            raise pa.ArrowInvalid("outside the years 1 to 9999")
    return values


def _has_exponent(text: bytes) -> bool:
    return b"e" in text or b"E" in text


def _without_null(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, "null"), pa.NA, texts)
