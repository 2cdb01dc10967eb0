"""What the tap works with, made of checked settings: headers, patience, and each stream with what it inherits."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from singer_arrow.bookmarks import OnNewColumn
from tap_rest_api_msdk import schemas
from tap_rest_api_msdk.retry import Patience
from tap_rest_api_msdk.schemas import JsonSchema
from tap_rest_api_msdk.settings import PROGRAM, Settings, StreamSettings, address

_WITH_TOTAL = ("offset_paginator", "style1")
_PAGE_SIZE = 5000


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
    """The whole configuration. Times are in seconds."""

    api_url: str
    headers: dict[str, str]
    timeout: float
    patience: Patience
    extra_fields: bool
    on_new_column: OnNewColumn
    streams: list[StreamConfig]


def parse(raw: Mapping[str, Any]) -> TapConfig:
    """The configuration. Raises SettingsRefused with every problem; no value of a secret is in it."""
    settings = Settings.parse(raw, PROGRAM)
    return TapConfig(
        api_url=address(settings.api_url),
        headers=_headers(settings),
        timeout=settings.request_timeout_seconds,
        patience=Patience(
            failures=settings.backoff_max_seconds,
            throttling=settings.throttle_max_seconds,
            header=settings.backoff_param,
            extension=settings.backoff_time_extension,
        ),
        extra_fields=settings.extra_fields == "ignore",
        on_new_column=settings.on_new_column,
        streams=[_stream(settings, stream) for stream in settings.streams],
    )


def _headers(settings: Settings) -> dict[str, str]:
    headers = {"User-Agent": settings.user_agent} if settings.user_agent else {}
    if settings.auth_method == "basic":
        login = f"{settings.username}:{settings.password.reveal()}"
        # UTF-8, as RFC 7617 has it; requests would send latin-1
        headers["Authorization"] = "Basic " + b64encode(login.encode()).decode()
    if settings.auth_method == "bearer_token":
        headers["Authorization"] = f"Bearer {settings.bearer_token.reveal()}"
    if settings.auth_method == "api_key":
        headers |= {name: key.reveal() for name, key in settings.api_keys.items()}
    return headers


def _stream(settings: Settings, stream: StreamSettings) -> StreamConfig:
    def common(name: str) -> Any:
        return getattr(stream, name) or getattr(settings, name)

    schema, _ = schemas.read(stream.schema)
    assert schema is not None
    params = {**settings.params, **stream.params}
    return StreamConfig(
        name=stream.name,
        path=common("path"),
        params=params,
        headers={name: str(value) for name, value in {**settings.headers, **stream.headers}.items()},
        records_path=common("records_path") or "$[*]",
        primary_keys=list(common("primary_keys")),
        replication_key=common("replication_key") or None,
        start_date=common("start_date") or None,
        search_field=common("source_search_field") or None,
        search_query=common("source_search_query") or None,
        text_keys=frozenset(common("except_keys")),
        schema=schema,
        paging=_paging(settings, params),
    )


def _paging(settings: Settings, params: Mapping[str, Any]) -> Paging:
    style, limit_param = settings.pagination_request_style, settings.pagination_limit_per_page_param
    total_path = settings.total_path
    if not total_path and style in _WITH_TOTAL:
        total_path = f"{settings.next_page_token_path.rstrip('.')}.{settings.pagination_total_limit_param}"
    size = str(settings.pagination_page_size or params.get(limit_param) or _PAGE_SIZE)
    return Paging(
        offsets=style != "single_page_paginator",
        size=int(size) if size.isdigit() else _PAGE_SIZE,
        first=settings.pagination_initial_offset,
        offset_param=settings.pagination_next_page_param,
        limit_param=limit_param,
        total_path=total_path or None,
        total_required=bool(settings.total_path),
    )
