"""The standard tests of singer-sdk for targets, of our own; and what the SDK's taps send is understood."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import IO, Any

from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException
from singer_sdk.testing import get_target_test_class
from singer_sdk.testing.suites import SingerTestSuite
from singer_sdk.testing.target_tests import TargetRecordMissingRequiredProperty
from target_kit import Target
from test_target import TARGET

from singer_arrow.errors import TooManyDeadLetters
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
