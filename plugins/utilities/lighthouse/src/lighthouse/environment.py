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
from dotenv.parser import Binding, parse_stream

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

    `is_ours` matches the names of the pipeline's variables, of which a blank one is not set; `names` are those known to end in
    _FILE by themselves.
    """
    read, problems = read_env_file(file)
    meant = {name: unquoted(value) if is_ours.match(name) else value for name, value in environ.items()}
    given = {name: value for name, value in meant.items() if value.strip() or not is_ours.match(name)}
    values = {**{name: value for name, value in read.items() if name not in given}, **given}
    settled = Settled(values, frozenset(read), problems)
    for name in sorted(name for name in values if is_ours.match(name) and name.endswith("_FILE") and name not in names):
        _take_file(settled, name)
    for name in [name for name, value in values.items() if is_ours.match(name) and not value.strip()]:
        del values[name]
    return settled


def read_env_file(file: Path) -> tuple[dict[str, str], list[Problem]]:
    """What python-dotenv reads from a file, and the lines that it or Docker would read as something else."""
    if not file.is_file():
        return {}, []
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        return {}, [Problem(file.name, f"is not UTF-8 text, on line {number}; save it as UTF-8")]
    except OSError as error:
        return {}, [Problem(file.name, f"cannot be read: {error.strerror}")]
    values = {
        name: value or "" for name, value in DotEnv(None, stream=StringIO(text), interpolate=True, override=True).dict().items()
    }
    bindings = list(parse_stream(StringIO(text)))
    lines = {each.key: _line(each) for each in bindings if each.key}  # that counts, of each name
    problems = []
    for each in bindings:
        if each.key and _line(each) != lines[each.key] and (each.value or "") != values[each.key]:
            problems.append(
                Problem(each.key, f"is on line {_line(each)} and on line {lines[each.key]} of .env; keep one of them")
            )
        elif problem := _problem(each, values):
            problems.append(problem)
    return values, problems


def _line(binding: Binding) -> int:
    """The number of the line that a binding begins on; python-dotenv counts from the empty lines in front of it."""
    text = binding.original.string
    return int(binding.original.line) + text[: len(text) - len(text.lstrip())].count("\n")


def _problem(binding: Binding, values: Mapping[str, str]) -> Problem | None:
    """Why a line of `.env` is none, or how Docker would read it otherwise, which takes one line as NAME=value."""
    where, name, text = f"line {_line(binding)} of .env", binding.key, binding.original.string.strip()
    if binding.error:
        return Problem(where, "is not NAME=value")
    if name is None:
        return None
    if "\n" in text:
        how = f"write it on one line, or into a file and name that in {name}_FILE"
        return Problem(name, f"begins on {where} and ends on another one, while Docker's values end with their line; {how}")
    if text.partition("=")[0] != name:
        what = f"begins otherwise than {name}=, and Docker would not take it"
        return Problem(where, f"{what}; write the name without export, quotes and blanks")
    if unquoted(text.partition("=")[2]) != values[name]:
        return Problem(name, f"on {where} means one value to Meltano and another to Docker; {_how(binding.value)}")
    return None


def _how(value: str | None) -> str:
    return "write it into a file and name that in …_FILE, since ${ cannot be quoted" if "${" in (value or "") else _ADVICE


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
        settled.values[target] = Path(path).read_text(encoding="utf-8-sig").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        settled.problems.append(Problem(name, f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is not text'}"))
