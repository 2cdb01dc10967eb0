"""The tap's settings: all of the published tap-rest-api-msdk 1.4.2, and this tap's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from singer_arrow import settings
from singer_arrow.bookmarks import OnNewColumn
from singer_arrow.settings import Secret, no_secret
from tap_rest_api_msdk import contradictions

PROGRAM = "tap-rest-api-msdk"
Texts = tuple[str, ...]
Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
SECRET = {"secret": True}  # such values may hold keys: no message shows them


class Common(settings.Settings, kw_only=True, frozen=True):
    """What the whole tap and each stream can set; a stream's own value comes first."""

    path: Annotated[str, Meta(description="Path after `api_url`.", examples=["/orders"])] = ""
    params: Annotated[
        dict[str, Any], Meta(description="Query parameters; a stream's are merged over the common ones.", extra=SECRET)
    ] = msgspec.field(default_factory=dict)
    headers: Annotated[
        dict[str, Any], Meta(description="Request headers; a stream's are merged over the common ones.", extra=SECRET)
    ] = msgspec.field(default_factory=dict)
    records_path: Annotated[
        str, Meta(description="JSONPath of the records in an answer; `$[*]` unless set.", examples=["$.data[*]"])
    ] = ""
    primary_keys: Annotated[Texts, Meta(description="Columns of the primary key.", examples=[["id"]])] = ()
    replication_key: Annotated[
        str,
        Meta(description="Number or time column that tells new records; makes the stream incremental.", examples=["updated_at"]),
    ] = ""
    except_keys: Annotated[Texts, Meta(description="Columns whose JSON value is kept as text.")] = ()
    num_inference_records: Annotated[
        int | None, Meta(description="Accepted for compatibility: schemas are declared, never inferred.")
    ] = None
    start_date: Annotated[
        str, Meta(description="Where an incremental stream starts without a bookmark.", examples=["2026-01-01T00:00:00Z"])
    ] = ""
    source_search_field: Annotated[
        str, Meta(description="Query parameter that asks the API for new records only.", examples=["updated_since"])
    ] = ""
    source_search_query: Annotated[
        str,
        Meta(
            description="Its value, in which `$last_run_date` stands for the bookmark or `start_date`.",
            examples=["gt:$last_run_date"],
        ),
    ] = ""


class StreamSettings(Common, kw_only=True, frozen=True):
    """One stream."""

    name: Annotated[str, Meta(description="Name of the stream.", examples=["Orders"])]
    schema: Annotated[
        dict[str, Any] | str,
        Meta(
            description="JSON Schema of a record, or the path of a .json file that holds it; `x-sql-datatype` decides a column's "
            "type."
        ),
    ] = ""

    @classmethod
    def contradictions(cls, values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """See contradictions.of_schema and contradictions.of_paths."""
        yield from contradictions.of_schema(values.get("schema"))
        yield from contradictions.of_reading(values)


class Settings(Common, kw_only=True, frozen=True):
    """Checked before any request. Times are in seconds, sizes in records."""

    ignored = frozenset({"stream_map_config", "faker_config", "flattening_max_depth", "flattening_max_key_length",
                         "flattening_separator"})  # fmt: skip

    api_url: Annotated[
        str,
        Meta(description="Base address of the API; https:// unless it says otherwise.", examples=["https://api.example.com/v1"]),
    ]
    auth_method: Annotated[
        Literal["no_auth", "basic", "bearer_token", "api_key"], Meta(description="How requests are authenticated.")
    ] = "no_auth"
    username: Annotated[str, Meta(description="User name for basic authentication.", examples=["reader"])] = ""
    password: Annotated[Secret, Meta(description="Password for basic authentication.")] = no_secret()
    bearer_token: Annotated[Secret, Meta(description="Token for bearer authentication.")] = no_secret()
    api_keys: Annotated[dict[str, Secret], Meta(description="Header and key for api_key authentication.")] = msgspec.field(
        default_factory=dict
    )
    user_agent: Annotated[str, Meta(description="User-Agent header.")] = ""
    request_timeout_seconds: Annotated[float, Meta(gt=0, description="Seconds that one answer may take.")] = 60

    pagination_request_style: Annotated[
        Literal["offset_paginator", "style1", "simple_offset_paginator", "single_page_paginator"],
        Meta(description="How pages are asked for: by offset and limit, or a single page."),
    ]
    pagination_response_style: Annotated[
        Literal["offset", "style1", "default"],
        Meta(description="How the next page is found: `offset` (or `style1`) counts the records received."),
    ] = "default"
    pagination_page_size: Annotated[
        Positive | None, Meta(description="Records per page; the limit in `params`, or 5000, unless set.", examples=[5000])
    ] = None
    pagination_next_page_param: Annotated[str, Meta(description="Name of the offset parameter.")] = "offset"
    pagination_limit_per_page_param: Annotated[str, Meta(description="Name of the limit parameter.")] = "limit"
    pagination_initial_offset: Annotated[
        NotNegative | None,
        Meta(
            description="First offset, 0 or 1. The published default is 1; an API that gives no total needs it set.", examples=[0]
        ),
    ] = None
    next_page_token_path: Annotated[str, Meta(description="JSONPath of the object that holds the total.")] = "$.pagination"
    pagination_total_limit_param: Annotated[str, Meta(description="Name of the total in that object.")] = "total"
    total_path: Annotated[
        str,
        Meta(description="JSONPath of the number of records that the API has; every answer must hold it.", examples=["$.total"]),
    ] = ""
    offset_records_jsonpath: Annotated[
        str, Meta(description="With simple_offset_paginator: the list in `records_path`, and nothing else.")
    ] = ""

    backoff_type: Annotated[Literal["header"], Meta(description="Accepted for compatibility: Retry-After is always obeyed.")] = (
        "header"
    )
    backoff_param: Annotated[str, Meta(description="Header that says how long to wait.")] = "Retry-After"
    backoff_time_extension: Annotated[float, Meta(ge=0, description="Seconds added to what that header says.")] = 0
    backoff_max_seconds: Annotated[
        float, Meta(ge=0, description="Seconds to go on trying after connection failures, timeouts and 5xx.")
    ] = 15
    throttle_max_seconds: Annotated[float, Meta(ge=0, description="Seconds to go on trying after 429 and Retry-After.")] = 300

    extra_fields: Annotated[
        Literal["refuse", "ignore"], Meta(description="What happens to fields that the schema does not declare.")
    ] = "refuse"
    on_new_column: Annotated[
        OnNewColumn,
        Meta(
            description="What an incremental stream does about a column it has not read before: read all records once more, or "
            "leave it NULL in older rows (in YAML with quotes: 'null')."
        ),
    ] = "backfill"
    batch_config: Annotated[
        dict[str, Any] | None, Meta(description="Write Parquet parts and BATCH messages instead of RECORDs.")
    ] = None
    stream_maps: Annotated[dict[str, Any] | None, Meta(description="The SDK's stream maps; RECORD output only.")] = None
    flattening_enabled: Annotated[bool, Meta(description="The SDK's flattening; RECORD output only.")] = False

    client_id: Annotated[str, Meta(description="OAuth: not supported.")] = ""
    client_secret: Annotated[Secret, Meta(description="OAuth: not supported.")] = no_secret()
    refresh_token: Annotated[Secret, Meta(description="OAuth: not supported.")] = no_secret()
    grant_type: Annotated[str, Meta(description="OAuth: not supported.")] = ""
    scope: Annotated[str, Meta(description="OAuth: not supported.")] = ""
    access_token_url: Annotated[str, Meta(description="OAuth: not supported.")] = ""
    redirect_uri: Annotated[str, Meta(description="OAuth: not supported.")] = ""
    oauth_extras: Annotated[dict[str, Any], Meta(description="OAuth: not supported.", extra=SECRET)] = msgspec.field(
        default_factory=dict
    )
    oauth_expiration_secs: Annotated[int | None, Meta(description="OAuth: not supported.")] = None
    aws_credentials: Annotated[dict[str, Any], Meta(description="AWS signatures: not supported.", extra=SECRET)] = msgspec.field(
        default_factory=dict
    )
    use_request_body_not_params: Annotated[bool, Meta(description="Parameters in the body: not supported.")] = False
    store_raw_json_message: Annotated[bool, Meta(description="A column with the raw record: not supported.")] = False
    pagination_results_limit: Annotated[
        int | None, Meta(description="Not supported: a limit on records would make incomplete loads.")
    ] = None

    streams: Annotated[tuple[StreamSettings, ...], Meta(description="The streams; at least one.")] = ()

    @classmethod
    def contradictions(cls, values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """Everything that takes more than one setting to tell; see contradictions.py."""
        for name, meta in settings.metas(cls).items():
            if "not supported" in str(meta.description).lower() and values.get(name):
                yield name, f"is set, and this tap does not support it ({str(meta.description).rstrip('.')}); remove it"
        yield from contradictions.of_address(str(values.get("api_url", "")))
        yield from contradictions.of_login(values)
        yield from contradictions.of_paging(values)
        yield from contradictions.of_output(values)
        yield from contradictions.of_reading(values)
        yield from contradictions.of_streams(values)


def address(url: str) -> str:
    """The API's address with a scheme, without a slash at its end."""
    text = url if "://" in url else f"https://{url}"
    return text.rstrip("/")
