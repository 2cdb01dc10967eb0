"""The standard tests of singer-sdk for targets, of our own; and what the SDK's taps send is understood."""

from __future__ import annotations

import contextlib
import io
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, ClassVar

import pytest
from singer_sdk import Stream, Tap
from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException
from singer_sdk.testing import get_target_test_class
from singer_sdk.testing.suites import SingerTestSuite
from singer_sdk.testing.target_tests import TargetRecordMissingRequiredProperty
from target_kit import Target
from test_target import TARGET

from singer_arrow import syncing
from singer_arrow.errors import Failure, TooManyDeadLetters
from target_parquet.errors import SchemaMissing


class TargetParquet:
    """Our target as the SDK's tests call theirs. Its errors have other names; many of the tests' streams have no STATE."""

    name = "target-parquet"

    def __init__(self, config: dict[str, Any], **_: Any) -> None:
        self.target = Target(Path(tempfile.mkdtemp(prefix="target-sdk-")), complete_without_state=True, **config)
        self._lines: list[str] = []

    def process_lines(self, lines: IO[str]) -> None:
        """Takes lines; they are read when the input ends."""
        self._lines += lines

    def process_endofpipe(self) -> None:
        """The end of the input."""
        try:
            self.target.take("".join(self._lines).rstrip("\n"))
        except SchemaMissing as error:
            raise RecordsWithoutSchemaException(str(error)) from error
        except TooManyDeadLetters as error:
            raise MissingKeyPropertiesError(str(error)) from error
        print(self.target.states.getvalue(), end="")

    @staticmethod
    def print_version() -> None:
        """What the command says."""
        assert "target-parquet" in subprocess.run([TARGET, "--version"], capture_output=True, text=True, check=True).stdout

    @staticmethod
    def print_about(output_format: str = "") -> None:
        """What the command says."""
        assert '"max_dead_letters"' in subprocess.run([TARGET, "--about"], capture_output=True, text=True, check=True).stdout


OPTIONAL = SingerTestSuite(kind="target", tests=[TargetRecordMissingRequiredProperty])
TestTargetParquet = get_target_test_class(TargetParquet, config={}, custom_suites=[OPTIONAL])  # type: ignore[arg-type]


# --- taps made with the SDK


class Orders(Stream):
    """`times` records; after `dies` of them an error."""

    name = "orders"
    schema: ClassVar[dict[str, Any]] = {"properties": {"id": {"type": "integer"}}}
    primary_keys = ("id",)

    def get_records(self, context: object) -> Iterator[dict[str, Any]]:
        times, dies = self.config["times"], self.config.get("dies")
        ids = ({"id": number} for number in range(times if dies is None else dies))
        yield from syncing.marked(self.tap_state, self.name, ids) if self.config.get("marked") else ids
        if dies is not None:
            raise ConnectionError("page 3")


class ByKey(Orders):
    """The same, incremental."""

    replication_key = "id"


class Lines(Orders):
    """A second stream."""

    name = "lines"


def sent(tmp_path: Path, streams: list[type[Orders]], state: dict[str, Any] | None = None, **config: Any) -> tuple[bytes, bool]:
    """What a tap of these streams writes, and whether it failed."""

    class SomeTap(Tap):
        name = "tap-some"
        config_jsonschema: ClassVar[dict[str, Any]] = {"properties": {}}

        def discover_streams(self) -> list[Orders]:
            return [kind(self) for kind in streams]

    output = io.TextIOWrapper(io.BytesIO(), write_through=True)
    with contextlib.redirect_stdout(output):
        try:
            SomeTap(config=config, state=state).sync_all()
        except ConnectionError:
            return output.buffer.getvalue(), True  # type: ignore[attr-defined]
    return output.buffer.getvalue(), False  # type: ignore[attr-defined]


def staged(tmp_path: Path, lines: bytes) -> dict[str, int]:
    """The rows of each stream that the target stages."""
    target = Target(tmp_path / "out")
    with contextlib.suppress(Failure):
        target.take(lines)
    return {stream: manifest["rows"] for stream, manifest in target.manifests().items()}


@pytest.mark.parametrize("dies", [None, 100, 10_000, 10_001, 20_000])
@pytest.mark.parametrize("kind", [Orders, ByKey])
@pytest.mark.parametrize("marked", [False, True])
def test_a_tap_that_dies_has_never_sent_a_whole_table(kind: type[Orders], dies: int | None, marked: bool, tmp_path: Path) -> None:
    lines, failed = sent(tmp_path, [kind], times=25_000, dies=dies, marked=marked)
    assert failed is (dies is not None)
    if failed:
        assert staged(tmp_path, lines) == {}
    elif marked or kind is ByKey:
        assert staged(tmp_path, lines) == {"orders": 25_000}
    else:
        assert staged(tmp_path, lines) == {}, "the SDK does not tell the end of its last stream: it needs complete_without_state"


@pytest.mark.parametrize("times", [1, 9_999, 10_000, 10_001])
def test_the_end_of_a_stream_that_is_marked_is_always_said(times: int, tmp_path: Path) -> None:
    before = {"bookmarks": {"orders": {}}, syncing.KEY: None}
    for state in (None, before):
        lines, _ = sent(tmp_path, [Orders], state, times=times, marked=True)
        assert staged(tmp_path, lines) == {"orders": times}


def test_a_stream_that_another_one_follows_is_complete(tmp_path: Path) -> None:
    lines, _ = sent(tmp_path, [Orders, Lines], times=12_000)
    assert staged(tmp_path, lines) == {"lines": 12_000}, "the first by name; of the last one the SDK does not say so"
