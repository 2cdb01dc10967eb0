"""docs/configuration.md, written from the settings models and meltano.yml."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec

from lakehouse.settings import Settings as Lakehouse
from lighthouse.project import Plugin, Project
from singer_arrow.settings import Secret, Settings, is_secret, json_schema
from tap_mssql.config.queries import Query
from tap_mssql.config.settings import Settings as TapMssql
from tap_mssql.config.stream_options import StreamOptions
from tap_rest_api_msdk.settings import Settings as TapRest
from tap_rest_api_msdk.settings import StreamSettings
from target_parquet.settings import Settings as TargetParquet

INTRODUCTION = """\
# Configuration

This page is written by `scripts/generate` from the settings themselves; a test holds both equal.

`entrypoint.sh check` reads the whole configuration, lets every program check its own settings, connects to nothing, and reports
all problems at once: the variable or the place in `meltano.yml`, the value unless it is secret, what is allowed, and an example.
It ends with exit code 2 when there is a problem. `run`, `plan` and `doctor` begin with it.

## Where a value comes from

The first of these that has a value wins:

1. a variable of the environment (`docker run --env-file .env`, `-e`, a Kubernetes secret);
2. `.env` in the project's folder;
3. `config:` of the plugin in `meltano.yml`, where `${VARIABLE}` stands for a variable;
4. the default below.

A blank value counts as not set. Every variable below can also be read from a file: `NAME_FILE=/run/secrets/name` instead of
`NAME`. A name that nothing reads is a problem, reported with the name that was probably meant. The standard variables of
OpenTelemetry (`OTEL_…`) and OpenLineage (`OPENLINEAGE_…`) are read in the same way:
[operations.md](operations.md#traces-metrics-and-lineage).

## How a value is written in `.env`

The same line has to mean the same to Docker, which takes everything after the first `=` as it is, and to Meltano, which removes
quotes, expands `${X}` and cuts the line at ` #`. So:

* letters, digits and `. _ - / : @ $ #` without a space before the `#` need no quotes: `API_PASSWORD=a#b$c`;
* everything else goes between single quotes, with `\\'` for a single quote and `\\\\` for a backslash:
  `API_PASSWORD='it\\'s #1'`;
* a value with `${` in it cannot be written; put it into a file and set `NAME_FILE`.

A line is `NAME=value` and nothing else, in UTF-8; no value goes on behind its line, and no name has two values.

`check` names every line of `.env` that Docker and Meltano would read differently. A list or an object is JSON:
`TAP_MSSQL_STREAMS='["Sales.*", "!*.Archive*"]'`; a list of plain texts may also be written with commas: `Sales.*, !*.Archive*`.
"""

STREAM_OPTIONS = """\
`stream_options` is a list of objects, each with a `pattern` of `schema.table`. Where several patterns match, later ones add to
earlier ones:

```yaml
stream_options:
  - {pattern: Sales.SalesOrderHeader, replication_key: ModifiedDate, lookback: 3600}
  - {pattern: Log.*, replication_key: id, key: [id]}
```

As a variable: `TAP_MSSQL_STREAM_OPTIONS='[{"pattern": "Sales.*", "replication_key": "ModifiedDate"}]'`. An object with a key for
each pattern is accepted there too; in `meltano.yml` it is refused, because Meltano takes its keys apart at their dots.
"""


def page(root: Path) -> str:
    """The whole page, as Markdown."""
    plugins = Project(root).plugins
    parts = [
        INTRODUCTION,
        "## SQL Server: tap-mssql\n",
        _of_plugin(TapMssql, plugins["tap-mssql"]),
        STREAM_OPTIONS,
        _table(StreamOptions, None),
        "Each of `queries` is an object with these settings ([tap-mssql.md](tap-mssql.md#a-select-of-your-own-queries)):\n",
        _table(Query, None),
        "## REST API: tap-rest-api-msdk\n",
        _of_plugin(TapRest, plugins["tap-rest-api-msdk"]),
        "Each of `streams` is an object with these settings; what it does not set, it takes from the settings above:\n",
        _table(StreamSettings, None),
        "## Staging: target-parquet\n",
        "`target-parquet-sqlserver` and `target-parquet-api` inherit these; variables that begin with\n"
        "`TARGET_PARQUET_SQLSERVER_` or `TARGET_PARQUET_API_` set them for one of the two.\n",
        _of_plugin(TargetParquet, plugins["target-parquet"]),
        "## Databricks: lakehouse\n",
        _table(Lakehouse, lambda name: name),
    ]
    return "\n".join(parts)


def _table(model: type[Settings], variable: Callable[[str], str] | None, listed: Collection[str] = ()) -> str:
    """A row per setting; only those in `listed`, by meltano.yml, have a variable."""
    by_variable = variable is not None and all(variable(field.encode_name) == field.encode_name for field in _fields(model))
    head = [
        "variable" if by_variable else "setting",
        *(["variable"] if variable and not by_variable else []),
        "default",
        "allowed",
        "meaning",
    ]
    rows = [head, ["---"] * len(head)]
    properties = json_schema(model)["properties"]
    for field in _fields(model):
        name = field.encode_name
        described = properties[name]
        cells = [f"`{name}`", *([f"`{variable(name)}`" if name in listed else ""] if variable and not by_variable else [])]
        rows.append(
            [*cells, _default(field), _allowed(described, is_secret(field.type)), described["description"].replace("|", "\\|")]
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _of_plugin(model: type[Settings], plugin: Plugin) -> str:
    return _table(model, plugin.variable, plugin.settings)


def _fields(model: type[Settings]) -> Iterator[msgspec.structs.FieldInfo]:
    return iter(msgspec.structs.fields(model))


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if default in (None, "", (), {}) or isinstance(default, Secret):
        return ""
    return f"`{default if isinstance(default, str | Path) else json.dumps(default)}`"


def _allowed(described: dict[str, Any], secret: bool) -> str:
    """What a value may be, in words."""
    if "anyOf" in described:
        return " or ".join(filter(None, (_allowed(each, secret) for each in described["anyOf"] if each.get("type") != "null")))
    if "enum" in described:
        return ", ".join(f"`{each}`" if each else "empty" for each in described["enum"])
    kind = described.get("type")
    if secret:
        return "secret"
    if kind in ("integer", "number"):
        return ("a whole number" if kind == "integer" else "a number") + _limits(described)
    if kind == "boolean":
        return "`true`, `false`"
    if kind == "array":
        return "a list of objects" if described["items"].get("type") == "object" else "a list"
    return {"object": "an object", "string": "a path" if described.get("format") == "path" else "text"}.get(str(kind), "")


def _limits(described: dict[str, Any]) -> str:
    words = [
        f"{word} {described[key]:g}"
        for key, word in (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"))
        if key in described
    ]
    return " " + " ".join(words) if words else ""
