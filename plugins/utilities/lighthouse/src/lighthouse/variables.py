"""Which environment variables are the pipeline's, and which of them nobody reads. Pure functions over names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from lighthouse.project import Project
from lighthouse.words import Problem, nearest

# What begins so is the lakehouse's, or a library's that it uses: the Databricks SDK's, OpenTelemetry's, OpenLineage's.
OTHERS = ("DATABRICKS", "LAKEHOUSE", "ARM", "GOOGLE", "ON", "LOG", "ALERT", "OTEL", "OPENLINEAGE")
FILES = (
    "DATABRICKS_CONFIG_FILE",
    "DATABRICKS_OIDC_TOKEN_FILE",
    "OTEL_CONFIG_FILE",
    "OTEL_EXPERIMENTAL_CONFIG_FILE",
)  # theirs, whose names end in _FILE by themselves
_OF_THE_SDK = re.compile(  # databricks-sdk, Config: the lakehouse does not read them itself, and they are no misspellings
    r"DATABRICKS_(ACCOUNT_ID|DEBUG_HEADERS|PASSWORD|USERNAME|METADATA_SERVICE_URL|OIDC_TOKEN_(ENV|FILE|FILEPATH)|RATE_LIMIT"
    r"|SERVERLESS_COMPUTE_ID|TOKEN_AUDIENCE|WAREHOUSE_ID|WORKSPACE_ID)"
)
_OF_SINGER_SDK = ("LOGLEVEL",)
_ALIKE = 0.85  # from 0 to 1: how near a name must be to count as a misspelling where strange names are allowed


def ours(project: Project) -> re.Pattern[str]:
    """Matches the names of variables that the pipeline reads, or would if they were spelt so."""
    families = {*OTHERS, *_prefixes(project), *(name.partition("_")[0] for name in referenced(project))}
    return re.compile(f"({'|'.join(sorted(map(re.escape, families), key=len, reverse=True))})_")


def known(project: Project) -> set[str]:
    """The variables of the plugins' settings."""
    found: set[str] = set()
    return found.union(*(plugin.variables for plugin in project.plugins.values()))


def referenced(project: Project) -> set[str]:
    """The variables that configurations in meltano.yml refer to; Meltano's own are none of ours."""
    own = {f"{p}_" for p in _prefixes(project)}
    return {name for name in known(project) if not name.startswith(("MELTANO_", *own))}


def _prefixes(project: Project) -> set[str]:
    return {prefix for plugin in project.plugins.values() for prefix in plugin.prefixes}


def strangers(
    names: Iterable[str], from_file: Collection[str], project: Project, known_names: Collection[str]
) -> Iterator[Problem]:
    """Variables that nobody reads though they look like the pipeline's, with the name that was meant.

    What begins like a plugin or LAKEHOUSE_ must be known; of other names, only near misses count.
    """
    strict = tuple(f"{prefix}_" for prefix in (*_prefixes(project), "LAKEHOUSE"))
    lenient = ours(project)
    for name in sorted(set(names) - set(known_names)):
        if name.removesuffix("_FILE") in known_names or _OF_THE_SDK.fullmatch(name):
            continue
        if name.startswith(strict):
            rest = name.removeprefix(max((s for s in strict if name.startswith(s)), key=len))
            if rest.startswith("_") or rest in _OF_SINGER_SDK:  # Meltano's extras: TAP_X__SELECT
                continue
            near = nearest(name, known_names)
        elif lenient.match(name) or name in from_file:
            near = nearest(name, known_names, _ALIKE)
            if not near:
                continue
        else:
            continue
        yield Problem(name, f"is no variable of this pipeline{f'; did you mean {near}?' if near else ''}")


def placeholders(values: Mapping[str, str], template: Mapping[str, str]) -> Iterator[Problem]:
    """Variables that still hold what the template suggests to replace."""
    for name, value in template.items():
        if "your_" in value and values.get(name) == value:
            yield Problem(name, f"still holds the template's {value}")
