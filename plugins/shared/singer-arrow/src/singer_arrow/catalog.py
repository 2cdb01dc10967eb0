"""A Singer catalog without the SDK: what it selects, what it says of a stream, and how an entry is written.

Source: the Singer specification (hub.meltano.com/singer/spec): selected, selected-by-default, inclusion; breadcrumbs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

INCREMENTAL, FULL_TABLE, LOG_BASED = "INCREMENTAL", "FULL_TABLE", "LOG_BASED"
Entry = Mapping[str, Any]  # of a catalog, as JSON


def entry(
    stream: str,
    schema: Mapping[str, Any],
    key: Sequence[str],
    replication_key: str | None,
    replication_method: str,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What discovery says of a stream, which is selected unless somebody deselects it; its key and replication key always are.

    `more` is metadata of the stream itself.
    """
    needed = {*key, replication_key}
    root: dict[str, Any] = {
        "inclusion": "available",
        "selected": True,
        "selected-by-default": True,
        "table-key-properties": [*key],
    }
    found: dict[str, Any] = {"tap_stream_id": stream, "stream": stream, "schema": schema, "key_properties": [*key]}
    found["replication_method"] = replication_method
    if replication_key:
        found["replication_key"] = replication_key
        root |= {"replication-key": replication_key, "valid-replication-keys": [replication_key]}
    columns = [
        {
            "breadcrumb": ["properties", name],
            "metadata": {"inclusion": "automatic" if name in needed else "available"},
        }
        for name in schema["properties"]
    ]
    return found | {"metadata": [*columns, {"breadcrumb": [], "metadata": {**root, **(more or {})}}]}


def root(entry: Entry) -> Mapping[str, Any]:
    """The metadata of the stream itself."""
    return next((m.get("metadata", {}) for m in entry.get("metadata", ()) if not m["breadcrumb"]), {})


def is_selected(entry: Entry) -> bool:
    """Whether a catalog selects a stream."""
    if not entry.get("metadata"):
        return True
    return _selects(root(entry), inherited=False)


def selected(catalog: Mapping[str, Any]) -> dict[str, Entry]:
    """The streams that a catalog selects, with their entries, by name."""
    return {entry["tap_stream_id"]: entry for entry in catalog.get("streams", []) if is_selected(entry)}


def deselected(entry: Entry) -> frozenset[str]:
    """The columns that a catalog leaves out of a stream that it selects."""
    return frozenset(_deselected(entry))


def _deselected(entry: Entry) -> Iterable[str]:
    for each in entry.get("metadata", ()):
        if len(each["breadcrumb"]) == 2 and not _selects(each.get("metadata", {}), inherited=True):
            yield each["breadcrumb"][1]


def _selects(metadata: Mapping[str, Any], inherited: bool) -> bool:
    inclusion = metadata.get("inclusion")
    if inclusion in ("unsupported", "automatic"):
        return bool(inclusion == "automatic")
    for name in ("selected", "selected-by-default"):
        if metadata.get(name) is not None:
            return bool(metadata[name])
    return inherited
