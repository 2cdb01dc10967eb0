"""What of the SDK this tap uses, without the rest of it: see singer_arrow.late_sdk."""

from __future__ import annotations

import singer_arrow.late_sdk  # noqa: F401  (before the SDK)

from singer_sdk.contrib.msgspec import MsgSpecWriter as MsgSpecWriter  # isort: skip
from singer_sdk.contrib.msgspec import serialize_jsonl as serialize_jsonl  # isort: skip
from singer_sdk.helpers._batch import BaseBatchFileEncoding as BaseBatchFileEncoding  # isort: skip
from singer_sdk.helpers._batch import BatchConfig as BatchConfig  # isort: skip
from singer_sdk.helpers.types import Context as Context  # isort: skip
from singer_sdk.helpers.types import Record as Record  # isort: skip
from singer_sdk.mapper import SameRecordTransform as SameRecordTransform  # isort: skip
from singer_sdk.singerlib import Message as Message  # isort: skip
from singer_sdk.singerlib import RecordMessage as RecordMessage  # isort: skip
from singer_sdk.streams.core import Stream as Stream  # isort: skip
from singer_sdk.tap_base import Tap as Tap  # isort: skip
