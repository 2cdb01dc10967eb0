"""Every setting as JSON Schema: all of the published tap-rest-api-msdk 1.4.2, and this tap's own."""

from __future__ import annotations

from typing import Any

JsonSchema = dict[str, Any]

_TEXT = ["string", "null"]
_NUMBER = ["integer", "null"]
_FLAG = ["boolean", "null"]
_OBJECT = ["object", "null"]


def _setting(kind: Any, description: str, **more: Any) -> JsonSchema:
    return {"type": kind, "description": description, **more}


def _texts(description: str) -> JsonSchema:
    return _setting(["array", "null"], description, items={"type": "string"})


# settings that a stream may have too; a stream's own value comes first
COMMON: dict[str, JsonSchema] = {
    "path": _setting(_TEXT, "Path behind api_url."),
    "params": _setting(_OBJECT, "Query parameters; a stream's are merged over the common ones."),
    "headers": _setting(_OBJECT, "Request headers; a stream's are merged over the common ones."),
    "records_path": _setting(_TEXT, "JSONPath of the records in an answer. Default: $[*]."),
    "primary_keys": _texts("Columns of the primary key."),
    "replication_key": _setting(_TEXT, "Number or time column that tells new records; makes the stream incremental."),
    "except_keys": _texts("Columns whose JSON value is kept as text."),
    "num_inference_records": _setting(["number", "null"], "No effect: schemas are declared, never inferred."),
    "start_date": _setting(_TEXT, "Where an incremental stream starts without a bookmark."),
    "source_search_field": _setting(_TEXT, "Query parameter that asks an API for new records only."),
    "source_search_query": _setting(_TEXT, "Its value; $last_run_date becomes the bookmark or start_date."),
}

CONNECTION: dict[str, JsonSchema] = {
    "api_url": _setting("string", "Base address of the API, https://api.example.com/v1."),
    "auth_method": _setting(_TEXT, "no_auth, basic, bearer_token or api_key.", default="no_auth"),
    "username": _setting(_TEXT, "User of basic authentication."),
    "password": _setting(_TEXT, "Password of basic authentication.", secret=True),
    "bearer_token": _setting(_TEXT, "Token of bearer authentication.", secret=True),
    "api_keys": _setting(_OBJECT, "Header → key, for api_key authentication.", secret=True),
    "user_agent": _setting(_TEXT, "User-Agent header."),
    "request_timeout_seconds": _setting(["number", "null"], "How long one answer may take.", default=60),
}

PAGES: dict[str, JsonSchema] = {
    "pagination_request_style": _setting(
        _TEXT, "offset_paginator (or style1), simple_offset_paginator, or single_page_paginator.", default="default"
    ),
    "pagination_response_style": _setting(_TEXT, "offset (or style1): send offset and limit.", default="default"),
    "pagination_page_size": _setting(_NUMBER, "Records asked for at a time. Default: params' limit, or 5000."),
    "pagination_next_page_param": _setting(_TEXT, "Name of the offset parameter. Default: offset."),
    "pagination_limit_per_page_param": _setting(_TEXT, "Name of the limit parameter. Default: limit."),
    "pagination_initial_offset": _setting(
        _NUMBER, "First offset: 0 or 1. Default 1, as published; an API that gives no total needs it stated."
    ),
    "next_page_token_path": _setting(_TEXT, "JSONPath of the object that holds the total. Default: $.pagination."),
    "pagination_total_limit_param": _setting(_TEXT, "Name of the total in that object.", default="total"),
    "total_path": _setting(_TEXT, "JSONPath of the number of records the API has, $.total say; required in answers."),
    "offset_records_jsonpath": _setting(_TEXT, "simple_offset_paginator: the list of records_path, nothing else."),
}

PATIENCE: dict[str, JsonSchema] = {
    "backoff_type": _setting(_TEXT, "header, or nothing (the same): Retry-After is always obeyed."),
    "backoff_param": _setting(_TEXT, "The header that says how long to wait.", default="Retry-After"),
    "backoff_time_extension": _setting(_NUMBER, "Seconds added to what that header says.", default=0),
    "backoff_max_seconds": _setting(
        ["number", "null"], "How long to try again after connection failures, time outs and 5xx.", default=15
    ),
    "throttle_max_seconds": _setting(["number", "null"], "How long to obey 429 and Retry-After.", default=300),
}

OUTPUT: dict[str, JsonSchema] = {
    "extra_fields": _setting(_TEXT, "A field that the schema does not declare: refuse, or ignore.", default="refuse"),
    "batch_config": _setting(
        _OBJECT,
        "Write Parquet parts and BATCH messages instead of RECORDs.",
        properties={
            "encoding": {"type": "object", "properties": {"format": {}, "compression": {}}},
            "storage": {"type": "object", "properties": {"root": {"type": "string"}}},
        },
    ),
}

# published settings whose behaviour is not here: refused when set to anything but these defaults
NOT_HERE: dict[str, JsonSchema] = {
    "client_id": _setting(_TEXT, "OAuth: not here."),
    "client_secret": _setting(_TEXT, "OAuth: not here.", secret=True),
    "refresh_token": _setting(_TEXT, "OAuth: not here.", secret=True),
    "grant_type": _setting(_TEXT, "OAuth: not here."),
    "scope": _setting(_TEXT, "OAuth: not here."),
    "access_token_url": _setting(_TEXT, "OAuth: not here."),
    "redirect_uri": _setting(_TEXT, "OAuth: not here."),
    "oauth_extras": _setting(_OBJECT, "OAuth: not here.", secret=True),
    "oauth_expiration_secs": _setting(_NUMBER, "OAuth: not here."),
    "aws_credentials": _setting(_OBJECT, "AWS signatures: not here.", secret=True),
    "use_request_body_not_params": _setting(_FLAG, "Parameters in the body: not here.", default=False),
    "store_raw_json_message": _setting(_FLAG, "A column with the raw record: not here.", default=False),
    "pagination_results_limit": _setting(_NUMBER, "A limit of records would make short loads: not here."),
}

STREAM: JsonSchema = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": _setting("string", "Name of the stream."),
        "schema": _setting(["object", "string", "null"], "JSON Schema of a record, or the path of a .json file with it."),
        **COMMON,
    },
}

CONFIG: JsonSchema = {
    "type": "object",
    "required": ["api_url"],
    "properties": {
        **CONNECTION,
        **PAGES,
        **PATIENCE,
        **OUTPUT,
        **NOT_HERE,
        **COMMON,
        "streams": _setting(["array", "null"], "The streams.", items=STREAM),
    },
}
