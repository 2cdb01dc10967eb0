"""Keys of merges: compared as the source compares them, and one row for each."""

from __future__ import annotations

import unicodedata
from typing import Any

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakehouse.job.errors import Refused
from lakehouse.job.loads import Load
from lakehouse.job.parts import NUMBER
from lakehouse.job.types import quoted, type_family

PLAIN = "^[ -~]*$"  # printable ASCII: all collations but the two below agree on what is equal there
OTHER_CASES = ("turkish", "azeri")  # i and I are not one letter there
# Letters that are one with their capital in every collation without case; others (ß, long s, final sigma) are doubtful.
SMALL = "".join(map(chr, [*range(0x61, 0x7B), *range(0xE0, 0xF7), *range(0xF8, 0xFF), *range(0x3B1, 0x3C2), *range(0x3C3, 0x3CA),
                          *range(0x430, 0x460)]))  # fmt: skip
CAPITAL = SMALL.upper()
LETTERS = {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ı": "i", "ħ": "h"}
ORDER = "load number"  # how the frame of several loads calls the load's place; with a space, no column in Delta has the name
RANK = "rank number"  # and so is this one
DELETED = "was deleted"  # and this: is the row a key that the source deleted?


def collations(load: Load) -> dict[str, str]:
    """The collation of each text key that has one, by the key's name in Delta."""
    names = {each["column"]: each.get("collation") for each in load.columns if type_family(each["type"]) == "string"}
    return {key: str(names[key]) for key in load.keys if names.get(key)}


def is_binary(collation: str) -> bool:
    """Whether text is compared by its code points; blanks at the end never count in SQL Server."""
    return "_BIN" in collation.upper()


def ignores_case(collation: str) -> bool:
    """Whether a collation's name says case-insensitive."""
    return "_CI" in collation.upper()


def folded(name: str, collation: str | None) -> str:
    """SQL for a key by which equal keys are equal; `name` is a column as SQL writes it."""
    if collation is None:
        return name
    if ignores_case(collation) and not is_binary(collation):
        return f"translate(rtrim({name}), '{SMALL}', '{CAPITAL}')"
    return f"rtrim({name})"


def same_key(load: Load, one: str, other: str) -> str:
    """SQL for two rows having one key; `one` and `other` are their tables' aliases."""
    found = collations(load)
    pairs = ((folded(f"{one}.{quoted(k)}", found.get(k)), folded(f"{other}.{quoted(k)}", found.get(k))) for k in load.keys)
    return " AND ".join(f"{left} = {right}" for left, right in pairs)


def key_columns(load: Load) -> list[Column]:
    """The folded keys, named k0, k1…"""
    found = collations(load)
    return [F.expr(folded(quoted(key), found.get(key))).alias(f"k{n}") for n, key in enumerate(load.keys)]


def missing_keys(load: Load) -> Column:
    """How many rows have a NULL in their key."""
    return F.expr("count_if({})".format(" OR ".join(f"{quoted(key)} IS NULL" for key in load.keys)))


def count_keys(frame: DataFrame, load: Load) -> tuple[int, int]:
    """Rows whose key has a NULL, and different keys; one pass."""
    counts = [missing_keys(load).alias("missing"), F.countDistinct(F.struct(*key_columns(load))).alias("keys")]
    row = frame.agg(*counts).collect()[0]
    return int(row["missing"]), int(row["keys"])


def newest_of_each_key(frame: DataFrame, load: Load) -> DataFrame:
    """One row per key, the same however often it is asked.

    Of several the one of the later load (ORDER), then one that is there over one that was deleted, then the greater by
    replication key, then by row number, then by the data itself.
    """
    order = [F.col(quoted(ORDER)).desc()]
    if load.is_of_changes:
        order.append(F.col(quoted(DELETED)).asc())
    if load.cursor:
        order.append(F.col(quoted(load.cursor)).desc_nulls_last())
    order.append(F.col(quoted(NUMBER)).desc_nulls_last())
    texts = [F.expr(as_text(each["column"], each["type"])) for each in load.columns]
    order.append(F.md5(F.concat_ws("|", *(F.coalesce(text, F.lit("-")) for text in texts))).desc())
    window = Window.partitionBy(*key_columns(load)).orderBy(*order)
    return frame.withColumn(RANK, F.row_number().over(window)).where(F.col(quoted(RANK)) == 1).drop(RANK)


def as_text(column: str, arrow: str) -> str:
    """SQL for a value as text."""
    return f"hex({quoted(column)})" if type_family(arrow) == "binary" else f"cast({quoted(column)} as string)"


def rows_of_keys(table: DataFrame, frame: DataFrame, load: Load) -> DataFrame:
    """The rows of a table whose keys a frame has."""
    names = [f"key {n}" for n in range(len(load.keys))]  # with a space, no column of the table has the name
    keys = frame.select(*(column.alias(name) for column, name in zip(key_columns(load), names, strict=True))).distinct()
    found = collations(load)
    on = [F.expr(folded(quoted(key), found.get(key))) == F.col(quoted(name)) for key, name in zip(load.keys, names, strict=True)]
    return table.join(keys, on, "left_semi")


def refuse_doubtful_keys(table: DataFrame | None, frame: DataFrame, load: Load) -> None:
    """Raises Refused for keys that this job tells apart and the source's collation may not.

    A coarser comparison than any collation's (no accents, no width, no kana type, letters like ß taken apart) tells which.
    """
    found = {key: each for key, each in collations(load).items() if not is_binary(each)}
    for key, each in found.items():
        if each.lower().startswith(OTHER_CASES) and ignores_case(each):
            raise Refused(f"key column {key} has the collation {each}, whose letters have other capitals", NO_KEYS)
    if not found:
        return
    keys = frame.select(*map(quoted, load.keys))
    others = keys if table is None else keys.unionByName(table.select(*map(quoted, load.keys)))
    strange = " OR ".join(f"NOT {quoted(key)} RLIKE '{PLAIN}'" for key in found)
    if not others.where(strange).limit(1).collect():
        return
    mine, theirs = ((coarse_keys(each, load, found, side)) for each, side in ((keys, "a"), (others, "b")))
    count = range(len(load.keys))
    same = [F.col(f"ac{n}") == F.col(f"bc{n}") for n in count]
    differ = " OR ".join(f"NOT (ak{n} <=> bk{n})" for n in count)
    pairs = mine.join(theirs, same).where(differ).limit(1).collect()
    if pairs:
        one, other = (", ".join(str(pairs[0][f"{side}{n}"]) for n in count) for side in ("ak", "bk"))
        raise Refused(
            f"keys {one!r} and {other!r} are two here, and may be one by the source's collation ({', '.join(found.values())})",
            NO_KEYS,
        )


def coarse_keys(frame: DataFrame, load: Load, found: dict[str, str], side: str) -> DataFrame:
    """Each different key as it is told apart (<side>k0…) and coarsely (<side>c0…)."""
    exact = [column.alias(f"{side}k{n}") for n, column in enumerate(key_columns(load))]
    rough = []
    for n, key in enumerate(load.keys):
        column = F.col(quoted(key))
        if key in found:
            column = F.udf(coarse_without_case if ignores_case(found[key]) else coarse, "string")(column)
        rough.append(column.alias(f"{side}c{n}"))
    return frame.select(*exact, *rough).distinct()


def coarse(text: Any) -> Any:
    """Text without what a collation may overlook, letter case excepted."""
    if text is None:
        return None
    apart = unicodedata.normalize("NFKD", text.rstrip(" "))
    kept = (each for each in apart if unicodedata.category(each)[0] not in "MC")
    shifted = (chr(ord(each) + 0x60) if "\u3041" <= each <= "\u3096" else each for each in kept)  # hiragana as katakana
    return "".join(LETTERS.get(each) or (LETTERS[each.lower()].upper() if each.lower() in LETTERS else each) for each in shifted)


def coarse_without_case(text: Any) -> Any:
    """The same, capital letters only."""
    return None if text is None else str(coarse(text)).upper()


NO_KEYS = "read the stream FULL_TABLE (replication-method), which compares no keys, or give it a key of numbers"
