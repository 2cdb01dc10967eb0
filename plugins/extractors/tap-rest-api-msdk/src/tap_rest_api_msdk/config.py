"""The settings as one typed model, checked before any connection is opened; all problems are told at once."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from singer_arrow import names
from singer_arrow.errors import NameRefused
from tap_rest_api_msdk import schemas
from tap_rest_api_msdk.retry import Patience
from tap_rest_api_msdk.settings import CONFIG, NOT_HERE, JsonSchema

SOURCE_SCHEMA = "api"
_WITH_TOTAL = ("offset_paginator", "style1")
_STYLES = (*_WITH_TOTAL, "simple_offset_paginator", "single_page_paginator")
_AUTH_NEEDS = {"no_auth": (), "basic": ("username", "password"), "bearer_token": ("bearer_token",), "api_key": ("api_keys",)}


@dataclass(frozen=True)
class Paging:
    """How to ask for pages; `first` is None where the settings leave it to the published default of 1."""

    offsets: bool
    size: int
    first: int | None
    offset_param: str
    limit_param: str
    total_path: str | None
    total_required: bool


@dataclass(frozen=True)
class StreamConfig:
    """One stream: where its records are, what they are, and how new ones are asked for."""

    name: str
    path: str
    params: dict[str, Any]
    headers: dict[str, str]
    records_path: str
    primary_keys: list[str]
    replication_key: str | None
    start_date: str | None
    search_field: str | None
    search_query: str | None
    text_keys: frozenset[str]
    schema: JsonSchema
    paging: Paging


@dataclass(frozen=True)
class TapConfig:
    """The whole configuration, without a problem left in it."""

    api_url: str
    headers: dict[str, str]
    timeout: float
    patience: Patience
    extra_fields: bool
    streams: list[StreamConfig]


def problems_and_config(raw: Mapping[str, Any]) -> tuple[list[str], TapConfig | None]:
    """All problems of a configuration (settings by name, never a secret's value), or the model and no problem."""
    problems = [*_unknown(raw), *_not_here(raw), *_address(raw), *_auth(raw), *_pages(raw), *_output(raw)]
    streams: list[StreamConfig] = []
    listed = raw.get("streams") or []
    if not listed:
        problems.append("streams: none; list at least one with name, path and schema")
    for stream in listed:
        found, problem = _stream(raw, stream)
        problems += problem
        streams += [found] if found else []
    problems += _collisions(streams)
    return (problems, None) if problems else ([], _model(raw, streams))


def _model(raw: Mapping[str, Any], streams: list[StreamConfig]) -> TapConfig:
    method = _text(raw, "auth_method") or "no_auth"
    headers = {"User-Agent": raw["user_agent"]} if raw.get("user_agent") else {}
    if method == "basic":
        login = f"{raw['username']}:{raw['password']}"
        # UTF-8, as RFC 7617 has it; requests would send latin-1
        headers["Authorization"] = "Basic " + b64encode(login.encode()).decode()
    if method == "bearer_token":
        headers["Authorization"] = f"Bearer {raw['bearer_token']}"
    if method == "api_key":
        headers |= {str(k): str(v) for k, v in raw["api_keys"].items()}
    patience = Patience(
        failures=float(_or(raw.get("backoff_max_seconds"), 15)),
        throttling=float(_or(raw.get("throttle_max_seconds"), 300)),
        header=raw.get("backoff_param") or "Retry-After",
        extension=float(raw.get("backoff_time_extension") or 0),
    )
    return TapConfig(
        api_url=raw["api_url"].rstrip("/"),
        headers=headers,
        timeout=float(raw.get("request_timeout_seconds") or 60),
        patience=patience,
        extra_fields=raw.get("extra_fields") == "ignore",
        streams=streams,
    )


def _unknown(raw: Mapping[str, Any]) -> list[str]:
    """Misspelt settings, which would be accepted in silence otherwise."""
    streams = [s for s in raw.get("streams") or [] if isinstance(s, dict)]
    known = CONFIG["properties"]["streams"]["items"]["properties"]
    return [
        f"streams[{s.get('name', number)}].{name}: no such setting"
        for number, s in enumerate(streams)
        for name in s
        if name not in known
    ]


def _not_here(raw: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: this tap does not have it ({setting['description'].removesuffix(': not here.')}); remove the setting"
        for name, setting in NOT_HERE.items()
        if raw.get(name) not in (None, "", {}, setting.get("default"))
    ]


def _address(raw: Mapping[str, Any]) -> list[str]:
    parts = urlsplit(str(raw.get("api_url") or ""))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ["api_url: give the API's address, https://api.example.com/v1 say"]
    if parts.username or parts.password:
        return ["api_url: holds credentials; use auth_method: basic with username and password"]
    return ["api_url: has a query; use params"] if parts.query or parts.fragment else []


def _auth(raw: Mapping[str, Any]) -> list[str]:
    method = _text(raw, "auth_method") or "no_auth"
    if method not in _AUTH_NEEDS:
        return [f"auth_method: {method!r} is not here; use one of {', '.join(_AUTH_NEEDS)}"]
    return [f"{name}: needed by auth_method: {method}, and empty" for name in _AUTH_NEEDS[method] if not raw.get(name)]


def _pages(raw: Mapping[str, Any]) -> list[str]:
    problems = []
    style = _text(raw, "pagination_request_style") or "default"
    if style not in _STYLES:
        problems.append(f"pagination_request_style: {style!r} is not here; use one of {', '.join(_STYLES)}")
    answer_style = _text(raw, "pagination_response_style") or "default"
    if style != "single_page_paginator" and answer_style not in ("offset", "style1"):
        problems.append(f"pagination_response_style: {answer_style!r} is not here; use offset (or style1)")
    for name, lowest in (("pagination_page_size", 1), ("pagination_initial_offset", 0)):
        if raw.get(name) is not None and raw[name] < lowest:
            problems.append(f"{name}: {raw[name]} is less than {lowest}")
    if (raw.get("backoff_type") or "header") != "header":
        problems.append(f"backoff_type: {raw['backoff_type']!r} is not here; use header")
    problems += [
        f"{name}: {raw[name]} is less than 0"
        for name in ("backoff_max_seconds", "throttle_max_seconds", "backoff_time_extension", "request_timeout_seconds")
        if (raw.get(name) or 0) < 0
    ]
    return problems


def _output(raw: Mapping[str, Any]) -> list[str]:
    problems = []
    if (raw.get("extra_fields") or "refuse") not in ("refuse", "ignore"):
        problems.append(f"extra_fields: {raw['extra_fields']!r}; use refuse or ignore")
    batch = raw.get("batch_config")
    if not batch:
        return problems
    encoding, storage = batch.get("encoding") or {}, batch.get("storage") or {}
    if encoding.get("format") != "parquet" or encoding.get("compression") not in (None, "zstd"):
        problems.append("batch_config.encoding: use {format: parquet, compression: zstd}")
    root = urlsplit(str(storage.get("root") or ""))
    if root.scheme != "file" or root.netloc not in ("", "localhost") or not root.path:
        problems.append("batch_config.storage.root: give an absolute folder, file:///project/output/spool/api say")
    if storage.get("prefix"):
        problems.append("batch_config.storage.prefix: not here; part names are fixed")
    if raw.get("stream_maps") or raw.get("flattening_enabled"):
        problems.append("stream_maps, flattening_enabled: they change RECORDs only; remove them or batch_config")
    return problems


def _stream(raw: Mapping[str, Any], stream: Mapping[str, Any]) -> tuple[StreamConfig | None, list[str]]:
    name = str(stream.get("name") or "")
    where = f"streams[{name or '?'}]"

    def common(setting: str) -> Any:
        return _or(stream.get(setting), raw.get(setting))

    if not name:
        return None, [f"{where}.name: missing"]
    schema, problems = schemas.read(where, stream.get("schema"))
    if schema is None:
        return None, problems
    columns = schema["properties"]
    keys = list(common("primary_keys") or [])
    replication_key = common("replication_key") or None
    problems += [f"{where}.primary_keys: no column {key!r} in the schema" for key in keys if key not in columns]
    search_field, search_query = common("source_search_field"), common("source_search_query")
    if bool(search_field) != bool(search_query):
        problems.append(f"{where}: source_search_field and source_search_query need each other")
    if replication_key:
        problems += schemas.replication_key_problems(where, schema, replication_key)
        if not keys and not search_field:
            problems.append(
                f"{where}.replication_key: without primary_keys or source_search_field every run would add every record "
                "again; give one of them, or remove it for full loads"
            )
    params = {**(raw.get("params") or {}), **(stream.get("params") or {})}
    records_path = common("records_path") or "$[*]"
    return StreamConfig(
        name=name,
        path=str(common("path") or ""),
        params=params,
        headers={k: str(v) for k, v in {**(raw.get("headers") or {}), **(stream.get("headers") or {})}.items()},
        records_path=records_path,
        primary_keys=keys,
        replication_key=replication_key,
        start_date=common("start_date") or None,
        search_field=search_field or None,
        search_query=search_query or None,
        text_keys=frozenset(common("except_keys") or []),
        schema=schema,
        paging=_paging(raw, params),
    ), problems + _list_path(raw, where, records_path)


def _list_path(raw: Mapping[str, Any], where: str, records_path: str) -> list[str]:
    listed = raw.get("offset_records_jsonpath")
    if listed and f"{listed}".removesuffix("[*]") != records_path.removesuffix("[*]"):
        return [f"offset_records_jsonpath: {listed!r} is not the list of {where}.records_path, {records_path!r}"]
    return []


def _paging(raw: Mapping[str, Any], params: Mapping[str, Any]) -> Paging:
    style = _text(raw, "pagination_request_style")
    limit_param = raw.get("pagination_limit_per_page_param") or "limit"
    total_path = raw.get("total_path")
    if not total_path and style in _WITH_TOTAL:
        holder = (raw.get("next_page_token_path") or "$.pagination").rstrip(".")
        total_path = f"{holder}.{raw.get('pagination_total_limit_param') or 'total'}"
    size = raw.get("pagination_page_size") or params.get(limit_param) or 5000
    return Paging(
        offsets=style != "single_page_paginator",
        size=int(size) if str(size).isdigit() else 5000,
        first=raw.get("pagination_initial_offset"),
        offset_param=raw.get("pagination_next_page_param") or "offset",
        limit_param=limit_param,
        total_path=total_path,
        total_required=bool(raw.get("total_path")),
    )


def _collisions(streams: list[StreamConfig]) -> list[str]:
    """Two streams of one name, or of one Delta table."""
    listed = [s.name for s in streams]
    problems = [f"streams: {name!r} is there twice" for name in sorted({n for n in listed if listed.count(n) > 1})]
    try:
        names.refuse_collisions((name, names.table_name(SOURCE_SCHEMA, name)) for name in dict.fromkeys(listed))
    except NameRefused as error:
        problems.append(f"streams: {error}")
    return problems


def _text(raw: Mapping[str, Any], name: str) -> str:
    return str(raw.get(name) or "")


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value
