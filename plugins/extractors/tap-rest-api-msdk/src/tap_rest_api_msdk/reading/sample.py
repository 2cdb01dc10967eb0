"""The schema of a stream that declares none: its first records are read for it."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from tap_rest_api_msdk import pages, schemas
from tap_rest_api_msdk.client.answers import Answer
from tap_rest_api_msdk.client.client import ApiClient
from tap_rest_api_msdk.config import StreamConfig, TapConfig
from tap_rest_api_msdk.errors import AnswerRefused
from tap_rest_api_msdk.pages.requests import Requests
from tap_rest_api_msdk.reading import children
from tap_rest_api_msdk.reading.children import ALONE, Values
from tap_rest_api_msdk.reading.identity import Identity
from tap_rest_api_msdk.reading.walk import At, Read, Walk
from tap_rest_api_msdk.records import flatten, infer
from tap_rest_api_msdk.records.envelope import Envelope, Page


def completed(stream: StreamConfig, config: TapConfig, client: ApiClient, values: Values | None = None) -> StreamConfig:
    """The stream with its schema: as declared, else inferred; with the column of raw records where it is asked for.

    `values` are those of a parent's record; without them one of the parent's first records is asked for. Raises TapError as
    reading does, AnswerRefused where there is no record to infer from.
    """
    schema = stream.schema
    if schema is None:
        if values is None:
            values = _of_parent(stream, config, client)
        sample = _sample(stream, config, client, values) if values is not None else []
        if not sample:
            raise AnswerRefused(
                f"stream {stream.name}: the API has no record that a schema could be inferred from",
                action="declare the stream's schema, or run again when it has records",
            )
        schema = infer.schema(sample, stream.replication_key)
    if stream.keeps_raw and flatten.RAW_COLUMN not in schema["properties"]:
        raw = {flatten.RAW_COLUMN: {"type": ["object", "null"]}}
        schema = {**schema, "properties": {**schema["properties"], **raw}}
    if stream.schema is None and stream.replication_key:
        for problem in schemas.replication_key_problems(schema, stream.replication_key):
            raise AnswerRefused(f"stream {stream.name}: replication_key {problem}", action="declare the stream's schema")
    return replace(stream, schema=schema)


def _of_parent(stream: StreamConfig, config: TapConfig, client: ApiClient) -> Values | None:
    """What a stream takes of the first of its parent's records that has it; None where none has."""
    if stream.parent is None:
        return ALONE[0]
    [parent] = [each for each in config.streams if each.name == stream.parent]
    values = _of_parent(parent, config, client)
    for record in _sample(parent, config, client, values) if values is not None else ():
        found = {name: record.get(name) for name in children.taken(stream)}
        if None not in found.values():
            return {name: children.text(value) for name, value in found.items()}
    return None


def _sample(stream: StreamConfig, config: TapConfig, client: ApiClient, values: Values) -> list[dict[str, Any]]:
    envelope = Envelope(stream.records_path, stream.paging.total_path, pages.token_path(stream.paging), stream.error_paths)
    requests = Requests(stream, config.api_url, None, None, values)
    flattener = flatten.Flattener((), stream.text_keys)

    def fetch(at: At) -> Read:
        def read(answer: Answer) -> Page:
            try:
                return envelope.page(answer)
            except msgspec.ValidationError as error:
                raise AnswerRefused(f"stream {stream.name}: {answer.url}: {error}") from error

        return partial(client.get, requests.at(at.place, at.behind), f"stream {stream.name}", read)

    sample: list[dict[str, Any]] = []
    for page in Walk(stream.name, stream.paging, Identity((), lambda raw: raw), lambda: 1, fetch):
        for raw in page.records:
            record = flattener.record(json.loads(bytes(raw), parse_float=Decimal))
            if not isinstance(record, dict):
                raise AnswerRefused(f"stream {stream.name}: a record is not an object: {client.masks.first_words(bytes(raw))}")
            sample.append(record)
            if len(sample) >= stream.inference_records:
                return sample
    return sample
