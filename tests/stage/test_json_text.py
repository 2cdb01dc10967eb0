"""JSON that is taken apart without being decoded is the JSON that Python reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singer_arrow.json_text import NotJson, items, members

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)
LAYOUTS = st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}])


@given(st.dictionaries(TEXT, VALUES), st.lists(VALUES), LAYOUTS)
def test_members_and_items_are_cut_out_as_they_are(value: dict[str, Any], array: list[Any], layout: dict[str, Any]) -> None:
    found = members(json.dumps(value, **layout).encode())
    assert found.keys() == value.keys()
    assert json.dumps([json.loads(each) for each in found.values()]) == json.dumps([*value.values()])
    assert json.dumps([json.loads(each) for each in items(json.dumps(array, **layout).encode())]) == json.dumps(array)


def test_depth_does_not_matter_and_of_two_members_the_last_counts() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert members(b'{"a": 1, "deep": ' + deep + b', "a": -Infinity}') == {"a": b"-Infinity", "deep": deep}


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "[]", "{", '{"a"}', '{"a": }', '{"a": 1,}', '{"a": 1} 2', "{a: 1}", '{"a": [1}', '{"a": "x}', '{"a": 1 "b": 2}',
        '{"\\ud800": 1}', '{"a": ]}', '{"a": nan}', '{"a": 01}', '{"a": 1.}', '{"a": True}', "{,}", '{"a"::1}',
    ],
)  # fmt: skip
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(NotJson):
        members(text.encode())


@pytest.mark.parametrize("text", ["", "{}", "[", "[1,]", "[,]", "[1 2]", "[1] 1", "[1}", "[1:2]"])
def test_what_is_no_array_is_refused(text: str) -> None:
    with pytest.raises(NotJson):
        items(text.encode())
