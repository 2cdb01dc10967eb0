"""Problems of settings that it takes more than one setting, or a look into one, to tell: pure functions over their values.

Each yields the setting's name and the end of the sentence that begins with it. No value of a secret is ever in it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

from tap_rest_api_msdk import jsonpaths

Found = tuple[str, str]
SOURCE_SCHEMA = "api"  # first part of the Delta tables' names
_LOGIN_NEEDS = {
    "basic": ("username", "password"),
    "bearer_token": ("bearer_token",),
    "api_key": ("api_keys",),
    "oauth": ("grant_type", "access_token_url"),
}
_GRANT_NEEDS = {
    "client_credentials": ("client_id", "client_secret"),
    "password": ("username", "password"),
    "refresh_token": ("refresh_token",),
}
_TAKEN = re.compile(r"\{(\w+)\}")  # what a path or parameter takes of a parent's record
_PATHS = ("total_path", "records_path", "next_page_token_path", "offset_records_jsonpath")


def of_address(api_url: str) -> Iterator[Found]:
    """Of `api_url`."""
    if not api_url:
        return
    parts = urlsplit(api_url if "://" in api_url else f"https://{api_url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield "api_url", "must be the API's address"
    elif parts.username or parts.password:
        yield "api_url", "holds credentials; use auth_method: basic with username and password"
    elif parts.query or parts.fragment:
        yield "api_url", "holds a query; use params"


def of_login(values: Mapping[str, Any]) -> Iterator[Found]:
    """Of what `auth_method` needs."""
    method = values.get("auth_method")
    for name in _LOGIN_NEEDS.get(str(method), ()):
        if name in values and not values[name]:
            yield name, f"is missing; auth_method: {method} needs it"
    grant = values.get("grant_type")
    if method == "oauth" and grant:
        for name in _GRANT_NEEDS[grant]:
            if name in values and not values[name]:
                yield name, f"is missing; grant_type: {grant} needs it"
    if method == "aws":
        yield from _of_aws(values.get("aws_credentials") or {})


def _of_aws(given: Mapping[str, Any]) -> Iterator[Found]:
    def has(name: str) -> bool:
        return bool(given.get(name) or os.environ.get(name.upper()))

    if not has("aws_profile") and not (has("aws_access_key_id") and has("aws_secret_access_key")):
        yield "aws_credentials", "must have aws_access_key_id and aws_secret_access_key, or aws_profile"
    for name in ("aws_region", "aws_service"):
        if not has(name) and not (name == "aws_region" and has("aws_profile")):
            yield "aws_credentials", f"must have {name}"


def of_files(values: Mapping[str, Any]) -> Iterator[Found]:
    """Of the files and hosts that requests go through."""
    if values.get("ca_file") and not Path(str(values["ca_file"])).is_file():
        yield "ca_file", "must be a file that exists"
    proxy = str(values.get("proxy") or "")
    if proxy and (urlsplit(proxy).scheme not in ("http", "https") or not urlsplit(proxy).hostname):
        yield "proxy", "must be an address such as http://proxy.example.com:3128"


def of_output(values: Mapping[str, Any]) -> Iterator[Found]:
    """Of `batch_config`."""
    batch = values.get("batch_config")
    if not batch:
        return
    encoding, storage = batch.get("encoding") or {}, batch.get("storage") or {}
    if encoding.get("format") != "parquet" or encoding.get("compression") not in (None, "zstd"):
        yield "batch_config.encoding", "must be {format: parquet, compression: zstd}"
    root = urlsplit(str(storage.get("root") or ""))
    if root.scheme != "file" or root.netloc not in ("", "localhost") or not root.path:
        yield "batch_config.storage.root", "must be an absolute folder such as file:///project/output/spool/api"
    if storage.get("prefix"):
        yield "batch_config.storage.prefix", "is not supported: the names of parts are fixed; remove it"
    for name in ("stream_maps", "flattening_enabled"):
        if values.get(name):
            yield name, "changes RECORDs only; remove it, or batch_config"


def of_reading(values: Mapping[str, Any]) -> Iterator[Found]:
    """Of what a stream and the whole tap both can say: paths, dates, the search for new records."""
    for name in _PATHS:
        if values.get(name) and (why := jsonpaths.malformed(str(values[name]))):
            yield name, f"must be a JSONPath ({why})"
    for path in values.get("error_paths") or ():
        if why := jsonpaths.malformed(str(path)):
            yield "error_paths", f"has {path}, which is no JSONPath ({why})"
    if values.get("start_date") and not _is_date(str(values["start_date"])):
        yield "start_date", "must be a date or a time such as 2026-01-01 or 2026-01-01T00:00:00Z"
    query = values.get("source_search_query")
    if query and "last_run_date" not in Template(str(query)).get_identifiers():
        yield "source_search_query", "must hold $last_run_date, where the bookmark goes"


def of_schema(declared: Any) -> Iterator[Found]:
    """Of a stream's declared schema; without one it is inferred."""
    if declared:
        from tap_rest_api_msdk import schemas

        _, problems = schemas.read(declared)
        yield from problems


def of_streams(values: Mapping[str, Any]) -> Iterator[Found]:
    """Of all streams together, and of each with what the whole tap says."""
    if "streams" not in values:
        return
    streams: Sequence[Any] = values["streams"]
    if not streams:
        yield "streams", "is missing; list at least one with name and path"
    for stream in streams:
        for name, what in _of_stream(stream, values, streams):
            yield f"streams[{stream.name}]{name and '.' + name}", what
    yield from _same_names([stream.name for stream in streams])


def _of_stream(stream: Any, values: Mapping[str, Any], streams: Sequence[Any]) -> Iterable[Found]:
    def common(name: str) -> Any:
        return getattr(stream, name) or values.get(name)

    keys, key = common("primary_keys") or (), common("replication_key")
    field, query = common("source_search_field"), common("source_search_query")
    if query and not field:
        yield "source_search_field", "is missing; source_search_query needs it"
    if field and not query and common("pagination_response_style") != "hateoas_body":
        yield "source_search_query", "is missing; source_search_field needs it"
    if key and not keys and not field:
        yield (
            "replication_key",
            (
                "would add every record again in every run without primary_keys or source_search_field; set one of them, or "
                "remove it for full loads"
            ),
        )
    if common("lookback") and not keys:
        yield "lookback", "reads records again, which takes primary_keys to tell them by"
    listed, records = common("offset_records_jsonpath"), common("records_path") or "$[*]"
    if listed and str(listed).removesuffix("[*]") != records.removesuffix("[*]"):
        yield "", f"reads {records}, and offset_records_jsonpath names another list, {listed}"
    if query and common("use_request_body_not_params") and not any(map(_is_json, _filled(str(query)))):
        yield "source_search_query", 'must be JSON with a value for $last_run_date, such as {"gt": "$last_run_date"}, in a body'
    yield from _of_columns(stream, keys, key, str(common("start_date") or ""))
    yield from _of_parent(stream, values, streams)


def _filled(query: str) -> list[str]:
    """A query with a time in it, and with a number."""
    return [Template(query).safe_substitute(last_run_date=value) for value in ("2026-01-01T00:00:00Z", "1")]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _of_columns(stream: Any, keys: Iterable[str], key: str, start_date: str) -> Iterator[Found]:
    """Of what is said of columns, where they are declared."""
    from tap_rest_api_msdk import schemas

    schema = schemas.read(stream.schema)[0] if stream.schema else None
    if schema is None:
        return
    for name in keys:
        if name not in schema["properties"]:
            yield "primary_keys", f"names {name}, which is not a column of the schema"
    if key:
        if problems := schemas.replication_key_problems(schema, key):
            yield from (("replication_key", what) for what in problems)
        elif problem := schemas.start_problem(schema, key, start_date):
            yield "start_date", f"{problem}; {schemas.SET_START}"


def _of_parent(stream: Any, values: Mapping[str, Any], streams: Sequence[Any]) -> Iterator[Found]:
    """Of a stream that is read for each record of another one, and of what its path takes from it."""
    taken = set(_TAKEN.findall(stream.path or str(values.get("path") or "")))
    if not stream.parent:
        if taken:
            yield "path", f"takes {', '.join(sorted(taken))} from another stream; name it as parent"
        return
    taken |= {name for value in stream.params.values() for name in _TAKEN.findall(str(value))}
    names = [each.name for each in streams]
    if stream.parent not in names or names.index(stream.parent) >= names.index(stream.name):
        yield "parent", "must be a stream that is listed before this one"
    elif not taken:
        yield "path", "must take a value of its parent, such as /orders/{OrderID}/lines"


def _same_names(listed: Sequence[str]) -> Iterator[Found]:
    """Two streams of one name, or of one Delta table."""
    from singer_arrow import names
    from singer_arrow.errors import NameRefused

    for name in sorted({name for name in listed if listed.count(name) > 1}):
        yield "streams", f"names {name} twice"
    try:
        names.refuse_collisions((name, names.table_name(SOURCE_SCHEMA, name)) for name in dict.fromkeys(listed))
    except NameRefused as error:
        yield "streams", f"names {error.what}; deselect all but one of each"


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
