"""The environment's values as the pipeline means them: one reading of quotes, `.env` and `NAME_FILE`, whoever set them.

`docker run --env-file` hands over quotes as part of a value, python-dotenv (Meltano) takes them off, and expands `${X}` and cuts
at ` #` besides. Here a value means what python-dotenv makes of it; a line of `.env` that Docker would read as something else is
a problem.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from dotenv.main import DotEnv
from dotenv.parser import parse_stream

from lighthouse.words import Problem

logging.getLogger("dotenv.main").setLevel(logging.ERROR)  # what it cannot parse is a problem here, with its line
_ADVICE = "put the value between single quotes, with \\' for a quote in it and \\\\ for a backslash at its end"


@dataclass
class Settled:
    """The environment after reading: `values` by variable, the names that `.env` sets, and what is wrong."""

    values: dict[str, str]
    from_file: frozenset[str] = frozenset()
    problems: list[Problem] = field(default_factory=list)


def settle(environ: Mapping[str, str], file: Path, is_ours: re.Pattern[str], names: Collection[str]) -> Settled:
    """Reads `.env` under the environment's own values, and turns the pipeline's variables into what they mean.

    `is_ours` matches the names of the pipeline's variables; `names` are those known to end in _FILE by themselves.
    """
    read, problems = read_env_file(file)
    values = {**{name: value for name, value in read.items() if name not in environ}, **environ}
    settled = Settled(values, frozenset(read), problems)
    for name in sorted(name for name in values if is_ours.match(name)):
        if name not in read or name in environ:
            values[name] = unquoted(values[name])
    for name in sorted(name for name in values if is_ours.match(name) and name.endswith("_FILE") and name not in names):
        _take_file(settled, name)
    for name in [name for name, value in values.items() if is_ours.match(name) and not value.strip()]:
        del values[name]
    return settled


def read_env_file(file: Path) -> tuple[dict[str, str], list[Problem]]:
    """What python-dotenv reads from a file, and the lines that it or Docker would read as something else."""
    if not file.is_file():
        return {}, []
    text = file.read_text(encoding="utf-8")
    values = {
        name: value or "" for name, value in DotEnv(None, stream=StringIO(text), interpolate=True, override=True).dict().items()
    }
    problems = []
    for binding in parse_stream(StringIO(text)):
        where = f"line {binding.original.line} of .env"
        if binding.error:
            problems.append(Problem(where, "is not NAME=value"))
        elif binding.key and unquoted(_raw(binding.original.string)) != values[binding.key]:
            problems.append(
                Problem(binding.key, f"on {where} means one value to Meltano and another to Docker; {_how(binding.value)}")
            )
    return values, problems


def _how(value: str | None) -> str:
    return "write it into a file and name that in …_FILE, since ${ cannot be quoted" if "${" in (value or "") else _ADVICE


def _raw(line: str) -> str:
    """What `docker run --env-file` takes for the value: all that follows the first equals sign."""
    return line.strip("\n").partition("=")[2]


def unquoted(value: str) -> str:
    """A value without the quotes around it, as python-dotenv reads them; without quotes it is taken as it is."""
    text = value.strip()
    if len(text) < 2 or text[0] not in "'\"" or text[-1] != text[0]:
        return text
    bindings = list(parse_stream(StringIO(f"X={text}")))
    if len(bindings) == 1 and not bindings[0].error and bindings[0].value is not None:
        return bindings[0].value
    return text[1:-1]


def _take_file(settled: Settled, name: str) -> None:
    """NAME_FILE=/path gives NAME its value; both at once is a mistake."""
    target, path = name.removesuffix("_FILE"), settled.values[name]
    if not path.strip():
        return
    del settled.values[name]
    if settled.values.get(target, "").strip():
        settled.problems.append(Problem(target, f"and {name} are both set; keep one"))
        return
    try:
        settled.values[target] = Path(path).read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        settled.problems.append(Problem(name, f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is not text'}"))
