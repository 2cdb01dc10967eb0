"""The tap's settings: all of the published tap-rest-api-msdk 1.4.2 with their meaning there, and this tap's own."""

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
RequestStyle = Literal[
    "default", "jsonpath_paginator", "simple_header_paginator", "header_link_paginator", "restapi_header_link_paginator",
    "hateoas_paginator", "page_number_paginator", "offset_paginator", "style1", "simple_offset_paginator",
    "single_page_paginator",
]  # fmt: skip
ResponseStyle = Literal["default", "page", "offset", "style1", "header_link", "hateoas_body"]
AuthMethod = Literal["no_auth", "basic", "bearer_token", "api_key", "oauth", "aws"]
GrantType = Literal["client_credentials", "password", "refresh_token"]
OnSchemaDrift = Literal["freeze", "evolve", "discard_value", "discard_row"]
NO_TOTAL = "none"  # a stream's total_path, where the others have one


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
    error_paths: Annotated[
        Texts,
        Meta(
            description="JSONPaths of members that tell an error where an answer holds no records; `$.error` and `$.errors` "
            "unless set.",
            examples=[["$.fault"]],
        ),
    ] = ()
    primary_keys: Annotated[Texts, Meta(description="Columns of the primary key.", examples=[["id"]])] = ()
    replication_key: Annotated[
        str,
        Meta(description="Number or time column that tells new records; makes the stream incremental.", examples=["updated_at"]),
    ] = ""
    except_keys: Annotated[
        Texts,
        Meta(
            description="Members, at any depth and named as their columns, whose JSON value is kept as text.",
            examples=[["address_geo"]],
        ),
    ] = ()
    num_inference_records: Annotated[
        Positive | None, Meta(description="Records that the schema of a stream without one is inferred from; 50 unless set.")
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
    lookback: Annotated[
        float,
        Meta(
            ge=0,
            description="How far before its bookmark an incremental stream with a primary key reads: seconds for times, units "
            "for numbers.",
            examples=[3600],
        ),
    ] = 0
    on_schema_drift: Annotated[
        OnSchemaDrift | None,
        Meta(
            description="What becomes of members that the schema does not declare: `freeze` refuses the record (the rule unless "
            "set), `evolve` adds columns (the rule for inferred schemas), `discard_value` and `discard_row` leave out and count."
        ),
    ] = None

    pagination_request_style: Annotated[
        RequestStyle | None,
        Meta(
            description="How the next page is found: by a token in the answer (`default`, `jsonpath_paginator`), in a header "
            "(`simple_header_paginator`), by a link (`header_link_paginator`, `restapi_header_link_paginator`, "
            "`hateoas_paginator`), by counting (`page_number_paginator`, `offset_paginator` or `style1`, "
            "`simple_offset_paginator`), or not at all (`single_page_paginator`); `default` unless set."
        ),
    ] = None
    pagination_response_style: Annotated[
        ResponseStyle | None,
        Meta(
            description="How it is asked for: with a `page` parameter (`default`, `page`), with `offset` and `limit` (`offset`, "
            "`style1`), or with the parameters of the link (`header_link`, `hateoas_body`); `default` unless set."
        ),
    ] = None
    pagination_page_size: Annotated[
        Positive | None,
        Meta(description="Records per page; the limit in `params` unless set, or what the style's default is.", examples=[5000]),
    ] = None
    pagination_next_page_param: Annotated[
        str, Meta(description="Name of the page or offset parameter; `page` or `offset` unless set.")
    ] = ""
    pagination_limit_per_page_param: Annotated[
        str, Meta(description="Name of the limit parameter; `limit`, or `per_page` for header links, unless set.")
    ] = ""
    pagination_initial_offset: Annotated[
        NotNegative | None,
        Meta(
            description="First offset or page; 1 unless set, as published. An API that counts offsets and gives no total needs "
            "it set.",
            examples=[0],
        ),
    ] = None
    pagination_results_limit: Annotated[
        Positive | None,
        Meta(
            description="Most records to take: header links end there, and the load says that it was limited; for other styles "
            "more records are an error, as published."
        ),
    ] = None
    next_page_token_path: Annotated[
        str,
        Meta(
            description="JSONPath of the next page's token or link; of the object that holds the total for `offset_paginator`; "
            "of the word for more for `page_number_paginator`.",
            examples=["$.paging.next"],
        ),
    ] = ""
    pagination_total_limit_param: Annotated[str, Meta(description="Name of the total in that object; `total` unless set.")] = ""
    total_path: Annotated[
        str,
        Meta(
            description="JSONPath of the number of records that the API has; every answer must hold it. `none` for a stream "
            "whose answers have none.",
            examples=["$.total"],
        ),
    ] = ""
    offset_records_jsonpath: Annotated[
        str, Meta(description="With `simple_offset_paginator`: the list in `records_path`, and nothing else.")
    ] = ""
    use_request_body_not_params: Annotated[
        bool | None, Meta(description="Parameters go as JSON in the body of the request, and not in its address.")
    ] = None
    store_raw_json_message: Annotated[
        bool | None, Meta(description="Adds the column `_sdc_raw_json` with each record as it came.")
    ] = None


class StreamSettings(Common, kw_only=True, frozen=True):
    """One stream."""

    name: Annotated[str, Meta(description="Name of the stream.", examples=["Orders"])]
    schema: Annotated[
        dict[str, Any] | str,
        Meta(
            description="JSON Schema of a record, or the path of a .json file that holds it; `x-sql-datatype` decides a column's "
            "type. Inferred from the first records unless set."
        ),
    ] = ""
    parent: Annotated[
        str,
        Meta(
            description="Stream that this one is read for, record by record: `{Column}` in `path` and `params` stands for the "
            "value of the parent's column.",
            examples=["Orders"],
        ),
    ] = ""

    @classmethod
    def contradictions(cls, values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """See contradictions.of_schema and contradictions.of_reading."""
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
    auth_method: Annotated[AuthMethod, Meta(description="How requests are authenticated.")] = "no_auth"
    username: Annotated[str, Meta(description="User name for basic and oauth.", examples=["reader"])] = ""
    password: Annotated[Secret, Meta(description="Password for basic and oauth.")] = no_secret()
    bearer_token: Annotated[Secret, Meta(description="Token for bearer_token.")] = no_secret()
    api_keys: Annotated[dict[str, Secret], Meta(description="Headers and their keys for api_key.")] = msgspec.field(
        default_factory=dict
    )
    client_id: Annotated[str, Meta(description="OAuth: the client's id.")] = ""
    client_secret: Annotated[Secret, Meta(description="OAuth: the client's secret.")] = no_secret()
    refresh_token: Annotated[Secret, Meta(description="OAuth: the token that access tokens are got with.")] = no_secret()
    grant_type: Annotated[GrantType | None, Meta(description="OAuth: how access tokens are got.")] = None
    scope: Annotated[str, Meta(description="OAuth: scopes, separated by blanks.")] = ""
    access_token_url: Annotated[
        str, Meta(description="OAuth: address that gives access tokens.", examples=["https://login.example.com/token"])
    ] = ""
    redirect_uri: Annotated[str, Meta(description="OAuth: sent along where set.")] = ""
    oauth_extras: Annotated[dict[str, Any], Meta(description="OAuth: more parameters of the request.", extra=SECRET)] = (
        msgspec.field(default_factory=dict)
    )
    oauth_expiration_secs: Annotated[
        Positive | None, Meta(description="OAuth: how long a token lives whose answer does not say so.")
    ] = None
    aws_credentials: Annotated[
        dict[str, Any],
        Meta(
            description="AWS: `aws_access_key_id`, `aws_secret_access_key`, `aws_session_token`, or `aws_profile`; `aws_region`, "
            "`aws_service`. What is missing comes from the variables of the same names in capitals.",
            extra=SECRET,
        ),
    ] = msgspec.field(default_factory=dict)
    user_agent: Annotated[str, Meta(description="User-Agent header.")] = ""
    ca_file: Annotated[
        str,
        Meta(
            description="File of the certificate authorities to trust (PEM); SSL_CERT_FILE, then the system's, unless set.",
            examples=["/certificates/company.pem"],
        ),
    ] = ""
    proxy: Annotated[
        str,
        Meta(
            description="Proxy for all requests; HTTPS_PROXY, HTTP_PROXY and NO_PROXY hold unless set.",
            examples=["http://proxy.example.com:3128"],
            extra=SECRET,
        ),
    ] = ""

    request_timeout_seconds: Annotated[
        float, Meta(gt=0, description="Seconds that one answer may take, from the request to its last byte.")
    ] = 60
    max_response_mb: Annotated[Positive, Meta(description="Size of one answer at most, unpacked, in MB.")] = 256
    max_parallel_pages: Annotated[
        NotNegative,
        Meta(
            description="Pages asked for at once where the total is known, or child streams' answers. 0: 4 at first, then as "
            "many as help, which the tap finds out: 16 at most."
        ),
    ] = 0
    requests_per_second: Annotated[float, Meta(ge=0, description="Most requests a second; 0 sets no limit.")] = 0
    backoff_type: Annotated[
        Literal["header", "message"] | None,
        Meta(
            description="Where the API says how long to wait: `header` (`backoff_param`), or `message`, the greatest number in "
            "the answer's `message`. Retry-After is always obeyed."
        ),
    ] = None
    backoff_param: Annotated[str, Meta(description="Header that says how long to wait.")] = "Retry-After"
    backoff_time_extension: Annotated[float, Meta(ge=0, description="Seconds added to what that header says.")] = 0
    backoff_max_seconds: Annotated[
        float, Meta(ge=0, description="How long a request that fails is tried again, counted from its first failure.")
    ] = 15
    throttle_max_seconds: Annotated[
        float,
        Meta(ge=0, description="How long a request is tried again while the API asks to wait, and answers no other one."),
    ] = 300
    settle_max_seconds: Annotated[
        float,
        Meta(
            ge=0, description="How long a stream is read again from its beginning while its records come doubled or go missing."
        ),
    ] = 300
    overlap_pages: Annotated[
        bool,
        Meta(
            description="Pages that are counted by offset are asked for from the last record of the page in front of them, which "
            "shows whether records moved meanwhile."
        ),
    ] = True
    max_children: Annotated[Positive, Meta(description="Records of a parent that a child stream is read for, at most.")] = 100_000
    max_dead_letters: Annotated[
        NotNegative,
        Meta(description="Records that break the contract and are put aside, at most; one more ends the stream."),
    ] = 0
    keep_100ns: Annotated[
        bool, Meta(description="Times with seven digits also get a text column `<name>_100ns` with all of them.")
    ] = False
    resume_hours: Annotated[
        float, Meta(ge=0, description="How long a load that failed can go on at its first missing page; 0 always begins anew.")
    ] = 24
    extra_fields: Annotated[
        Literal["refuse", "ignore"] | None,
        Meta(description="Older name of `on_schema_drift`: `refuse` is `freeze`, `ignore` is `discard_value`."),
    ] = None
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

    streams: Annotated[tuple[StreamSettings, ...], Meta(description="The streams; at least one.")] = ()

    @classmethod
    def contradictions(cls, values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """Everything that takes more than one setting to tell; see contradictions.py."""
        yield from contradictions.of_address(str(values.get("api_url", "")))
        yield from contradictions.of_login(values)
        yield from contradictions.of_files(values)
        yield from contradictions.of_output(values)
        yield from contradictions.of_reading(values)
        yield from contradictions.of_streams(values)


def address(url: str) -> str:
    """The API's address with a scheme, without a slash at its end."""
    text = url if "://" in url else f"https://{url}"
    return text.rstrip("/")
