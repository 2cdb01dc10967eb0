"""What the tap works with, made of checked settings: how requests are made, and each stream with what it inherits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from singer_arrow.bookmarks import OnNewColumn
from tap_rest_api_msdk import schemas
from tap_rest_api_msdk.retry import Patience
from tap_rest_api_msdk.schemas import JsonSchema
from tap_rest_api_msdk.settings import NO_TOTAL, PROGRAM, OnSchemaDrift, Settings, StreamSettings, address

OFFSETS = ("offset_paginator", "style1")
COUNTED = (*OFFSETS, "simple_offset_paginator", "page_number_paginator")
_PAGE_SIZE = 5000  # asked for with offsets, where nothing says how many
_OF_HEADER_LINKS = 25  # as published
_DRIFT: Mapping[str | None, OnSchemaDrift] = {"refuse": "freeze", "ignore": "discard_value"}  # by extra_fields
_ERRORS = ("$.error", "$.errors")


class Paging(Struct, frozen=True):
    """How pages are asked for and found. `size` is None where no limit is asked for; `token_path` None where it is not set."""

    style: str
    asked: str
    size: int | None
    first: int
    is_first_given: bool
    next_param: str
    limit_param: str
    token_path: str | None
    total_path: str | None
    total_required: bool
    results_limit: int | None
    in_body: bool

    @property
    def is_counted(self) -> bool:
        """Whether pages are asked for by a number, so that any of them can be asked for."""
        return self.style in COUNTED

    @property
    def is_single(self) -> bool:
        """Whether there is one page only."""
        return self.style == "single_page_paginator"


class StreamConfig(Struct, frozen=True):
    """One stream: where its records are, what they are, and how new ones are asked for. `schema` is None until it is inferred."""

    name: str
    path: str
    params: dict[str, Any]
    headers: dict[str, str]
    records_path: str
    error_paths: tuple[str, ...]
    primary_keys: list[str]
    replication_key: str | None
    start_date: str | None
    search_field: str | None
    search_query: str | None
    lookback: float
    text_keys: frozenset[str]
    keeps_raw: bool
    on_schema_drift: OnSchemaDrift | None
    inference_records: int
    schema: JsonSchema | None
    is_inferred: bool
    parent: str | None
    paging: Paging


class Limits(Struct, frozen=True):
    """What bounds requests: seconds and bytes of one answer, answers at once (0: as many as help), requests a second (0: any)."""

    timeout: float
    answer_bytes: int
    parallel: int
    per_second: float


class TapConfig(Struct, frozen=True):
    """The whole configuration. Times are in seconds."""

    settings: Settings
    api_url: str
    limits: Limits
    patience: Patience
    settle: float
    streams: list[StreamConfig]

    @property
    def on_new_column(self) -> OnNewColumn:
        """What an incremental stream does about a column that it has not read before."""
        return self.settings.on_new_column


def parse(raw: Mapping[str, Any]) -> TapConfig:
    """The configuration. Raises SettingsRefused with every problem; no value of a secret is in it."""
    settings = Settings.parse(raw, PROGRAM)
    return TapConfig(
        settings=settings,
        api_url=address(settings.api_url),
        limits=Limits(
            settings.request_timeout_seconds,
            settings.max_response_mb * 10**6,
            settings.max_parallel_pages,
            settings.requests_per_second,
        ),
        patience=Patience(
            failures=settings.backoff_max_seconds,
            throttling=settings.throttle_max_seconds,
            header=settings.backoff_param,
            extension=settings.backoff_time_extension,
            in_message=settings.backoff_type == "message",
        ),
        settle=settings.settle_max_seconds,
        streams=[_stream(settings, stream) for stream in settings.streams],
    )


def _stream(settings: Settings, stream: StreamSettings) -> StreamConfig:
    def common(name: str) -> Any:
        own = getattr(stream, name)
        return getattr(settings, name) if own in (None, "", (), 0) else own

    params = {**settings.params, **stream.params}
    schema = schemas.read(stream.schema)[0] if stream.schema else None
    return StreamConfig(
        name=stream.name,
        path=common("path"),
        params=params,
        headers={name: str(value) for name, value in {**settings.headers, **stream.headers}.items()},
        records_path=common("records_path") or "$[*]",
        error_paths=common("error_paths") or _ERRORS,
        primary_keys=list(common("primary_keys")),
        replication_key=common("replication_key") or None,
        start_date=common("start_date") or None,
        search_field=common("source_search_field") or None,
        search_query=common("source_search_query") or None,
        lookback=common("lookback"),
        text_keys=frozenset(common("except_keys")),
        keeps_raw=bool(common("store_raw_json_message")),
        on_schema_drift=common("on_schema_drift") or _DRIFT.get(settings.extra_fields),
        inference_records=common("num_inference_records") or 50,
        schema=schema,
        is_inferred=schema is None,
        parent=stream.parent or None,
        paging=_paging(common, params),
    )


def _paging(common: Any, params: Mapping[str, Any]) -> Paging:
    style = common("pagination_request_style") or "default"
    asked = common("pagination_response_style") or "default"
    token_path, total_path = common("next_page_token_path") or None, common("total_path") or None
    required = bool(total_path) and total_path != NO_TOTAL
    if total_path is None and style in OFFSETS:
        place = (token_path or "$.pagination").rstrip(".")
        total_path = f"{place}.{common('pagination_total_limit_param') or 'total'}"
    is_link = style in ("header_link_paginator", "restapi_header_link_paginator") or asked == "header_link"
    limit_param = common("pagination_limit_per_page_param") or ("per_page" if is_link else "limit")
    first = common("pagination_initial_offset")
    return Paging(
        style=style,
        asked=asked,
        size=_size(style, asked, common("pagination_page_size"), params.get(limit_param)),
        first=1 if first is None else first,
        is_first_given=first is not None,
        next_param=common("pagination_next_page_param") or ("offset" if asked in ("offset", "style1") else "page"),
        limit_param=limit_param,
        token_path=token_path,
        total_path=None if total_path == NO_TOTAL else total_path,
        total_required=required,
        results_limit=common("pagination_results_limit"),
        in_body=bool(common("use_request_body_not_params")),
    )


def _size(style: str, asked: str, size: int | None, in_params: Any) -> int | None:
    """The limit to ask for; None where the request has none, or `params` have their own."""
    if size is not None:
        return size
    if str(in_params or "").isdigit():
        return int(in_params)
    if asked == "header_link":
        return _OF_HEADER_LINKS
    return _PAGE_SIZE if style in OFFSETS and asked in ("offset", "style1") else None
