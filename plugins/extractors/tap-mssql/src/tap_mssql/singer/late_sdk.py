"""What of the SDK this tap uses, without the rest of it: see singer_arrow.late_sdk."""

from __future__ import annotations

import singer_arrow.late_sdk  # noqa: F401  (before the SDK)

from singer_sdk.helpers._batch import BaseBatchFileEncoding as BaseBatchFileEncoding  # isort: skip
from singer_sdk.helpers._batch import BatchConfig as BatchConfig  # isort: skip
from singer_sdk.plugin_base import _ConfigInput as _ConfigInput  # isort: skip
from singer_sdk.streams.core import Stream as Stream  # isort: skip
from singer_sdk.tap_base import Tap as Tap  # isort: skip
