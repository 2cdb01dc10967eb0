"""Only a tap that says so has sent a whole stream; what singer-sdk and singer-python say, and when."""

from __future__ import annotations

from typing import Any

import pytest

from target_parquet.completeness import Hearing, Verdict

WHOLE = Verdict.COMPLETE
Message = tuple[Any, ...]


def heard(*messages: Message) -> dict[str, Verdict]:
    """The verdicts after SCHEMA (stream, is incremental), RECORD (stream, times), BATCH (stream) and STATE (value)."""
    hearing, streams = Hearing(), []
    for kind, *rest in messages:
        if kind == "SCHEMA":
            streams.append(rest[0])
            hearing.on_schema(rest[0], len(rest) > 1)
        elif kind == "STATE":
            hearing.on_state(rest[0])
        else:
            hearing.on_data(rest[0], kind == "BATCH").records += rest[1] if len(rest) > 1 else 1
    return {stream: hearing.of(stream).verdict for stream in streams}


def state(syncing: str | None = None, **bookmarks: Any) -> Message:
    return "STATE", {"bookmarks": bookmarks, **({"currently_syncing": syncing} if syncing else {})}


A, A_BY_KEY, B = ("SCHEMA", "a"), ("SCHEMA", "a", True), ("SCHEMA", "b")
DONE = {"replication_key": "at", "replication_key_value": "7"}


@pytest.mark.parametrize(
    ("messages", "verdict"),
    [
        ([A, ("RECORD", "a", 5)], Verdict.UNSAID),
        ([A, ("STATE", {}), ("RECORD", "a", 5)], Verdict.UNSAID),
        ([A, ("RECORD", "a", 5), state(a={})], WHOLE),
        ([A, ("RECORD", "a", 5), ("STATE", {"a": 5})], WHOLE),
        ([A, ("RECORD", "a", 5), ("STATE", None)], WHOLE),
        ([A, ("RECORD", "a", 5), state(a={}), ("RECORD", "a", 1)], Verdict.UNSAID),
        # singer-sdk, incremental: the bookmark says that the stream is being read, until it is not
        ([A_BY_KEY, ("RECORD", "a", 5), state(a={"progress_markers": DONE})], Verdict.UNFINISHED),
        ([A_BY_KEY, ("RECORD", "a", 5), state(a={"starting_replication_value": None, **DONE})], Verdict.UNFINISHED),
        ([A_BY_KEY, ("RECORD", "a", 5), state(a={"partitions": [{"context": {}, "progress_markers": {}}]})], Verdict.UNFINISHED),
        ([A_BY_KEY, ("RECORD", "a", 5), state(a={"progress_markers": DONE}), state(a=DONE)], WHOLE),
        ([A_BY_KEY, ("RECORD", "a", 10_000), state(a=DONE)], WHOLE),
        # singer-sdk, whole table: it sends a STATE after every 10,000th record and after every BATCH, whatever follows
        ([A, ("RECORD", "a", 10_000), state(a={})], Verdict.UNSAID),
        ([A, ("RECORD", "a", 20_000), state(a={})], Verdict.UNSAID),
        ([A, ("RECORD", "a", 10_000), state(a={}), ("RECORD", "a", 5)], Verdict.UNSAID),
        ([A, ("RECORD", "a", 10_000), state(a={}), ("RECORD", "a", 5), state(a={}, b={})], WHOLE),
        ([A, B, ("RECORD", "a", 10_000), state(a={}), ("RECORD", "b"), state(a={}, b={})], WHOLE),
        ([A, ("BATCH", "a"), state(a={})], Verdict.UNSAID),
        ([A_BY_KEY, ("BATCH", "a"), state(a=DONE)], WHOLE),
        ([A, B, ("BATCH", "a"), state(a={}), ("BATCH", "b"), state(a={}, b={})], WHOLE),
        # singer-sdk: a parent is read while the STATEs of its children come
        ([A, B, ("RECORD", "b"), state(b={}), ("RECORD", "a"), ("RECORD", "b"), state(a={}, b={})], Verdict.UNSAID),
        ([A, B, ("RECORD", "b"), state(b={}), ("RECORD", "a"), state(a={}, b={})], WHOLE),
        # singer-python: currently_syncing names the stream that is being read, and nothing when all is done
        ([A, ("RECORD", "a", 5), state("a", a={"version": 1})], Verdict.UNFINISHED),
        ([A, ("RECORD", "a", 10_000), ("STATE", {"currently_syncing": None, "bookmarks": {"a": {"version": 1}}})], WHOLE),
        ([A, B, ("RECORD", "a", 5), state("b", a={"version": 1})], WHOLE),
        ([A, ("BATCH", "a"), ("STATE", {"currently_syncing": None})], WHOLE),
    ],
)
def test_what_a_tap_says_of_a_stream(messages: list[Message], verdict: Verdict) -> None:
    assert heard(*messages)["a"] is verdict


def test_one_stream_may_be_complete_while_another_is_read() -> None:
    found = heard(A, ("RECORD", "a", 3), state(a={}), B, ("RECORD", "b", 3))
    assert found == {"a": WHOLE, "b": Verdict.UNSAID}
