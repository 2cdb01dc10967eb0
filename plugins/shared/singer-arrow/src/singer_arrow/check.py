"""`PROGRAM --check`: what a package says of a configuration, without connecting anywhere.

Standard input is the configuration as JSON, as Meltano would hand it over; standard output is JSON: `settings`, the names of all
settings, and `problems` (`singer_arrow.settings.Problem`). Exit code 0 without a problem, else 2.
"""

from __future__ import annotations

import sys

import msgspec

from singer_arrow.exits import Exit
from singer_arrow.settings import Settings

OPTION = "--check"


def asked(arguments: list[str]) -> bool:
    """Whether a command line asks for the check."""
    return arguments == [OPTION]


def answer(model: type[Settings], only_known: bool = False) -> int:
    """Checks the configuration on standard input, without what is no setting if `only_known`; the exit code."""
    config = msgspec.json.decode(sys.stdin.buffer.read() or b"{}", type=dict)
    names = [field.encode_name for field in msgspec.structs.fields(model)]
    _, problems = model.check({name: value for name, value in config.items() if name in names} if only_known else config)
    sys.stdout.buffer.write(msgspec.json.encode({"settings": names, "problems": problems}) + b"\n")
    return Exit.CONFIGURATION if problems else Exit.DONE
