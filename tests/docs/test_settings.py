"""Settings and variables: each is declared, documented, and read by something."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml
from docs_kit import README, ROOT, documented, run

PLUGINS = {each["name"]: each for kind in yaml.safe_load((ROOT / "meltano.yml").read_text())["plugins"].values() for each in kind}


def entrypoint_list(name: str) -> list[str]:
    return (ROOT / "entrypoint.sh").read_text().split(f"readonly {name}=(")[1].split(")")[0].split()


def test_every_variable_of_the_template_is_documented() -> None:
    names = re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.save").read_text(), re.MULTILINE)
    assert len(names) > 10 and [name for name in names if name not in documented()] == []


def test_every_variable_of_the_entrypoint_is_documented() -> None:
    required, optional = entrypoint_list("required"), entrypoint_list("optional")
    assert [name for name in required + optional if name not in documented()] == []
    rows = [row.split("|") for row in README.read_text().splitlines() if row.startswith("| `")]
    needed = {name for row in rows if len(row) > 3 and row[2].strip() == "yes" for name in re.findall(r"`(\w+)`", row[1])}
    assert needed == set(required)
    template = re.findall(r"^([A-Z][A-Z0-9_]+)=", (ROOT / ".env.save").read_text(), re.MULTILINE)
    assert set(required) <= set(template)


def test_every_documented_variable_is_read_by_something() -> None:
    read = {*entrypoint_list("required"), *entrypoint_list("optional")}
    lakehouse = (ROOT / "plugins/utilities/lakehouse/src/lakehouse/settings.py").read_text()
    assert [name for name in documented() if name not in read and f'"{name}"' not in lakehouse] == []


def declared(plugin: str) -> set[str]:
    return {setting["name"] for setting in PLUGINS[plugin]["settings"]}


def with_parts(names: set[str]) -> set[str]:
    """`batch_config.encoding.format` is declared: so is `batch_config`."""
    return names | {name.partition(".")[0] for name in names}


def test_every_setting_of_tap_mssql_and_target_parquet_is_in_meltano_yml() -> None:
    from singer_arrow.settings import metas
    from tap_mssql.config.settings import Settings as Tap
    from target_parquet.settings import Settings as Target

    assert set(metas(Tap)) - declared("tap-mssql") == set()
    assert set(metas(Target)) - declared("target-parquet") == set()


def test_every_setting_of_tap_mssql_is_documented_with_its_meaning() -> None:
    from singer_arrow.settings import metas
    from tap_mssql.config.settings import Settings as Tap
    from tap_mssql.config.stream_options import StreamOptions

    rows = [[cell.strip() for cell in row.split("|")] for row in (ROOT / "docs/tap-mssql.md").read_text().splitlines()]
    told = {row[1].strip("`"): row[-2] for row in rows if len(row) > 3 and row[1].startswith("`")}
    for name, field in {**metas(Tap), **metas(StreamOptions)}.items():
        assert told.pop(name, None) == field.description, name
    assert told == {}


def test_every_setting_of_tap_rest_api_msdk_is_in_meltano_yml_or_described_by_about() -> None:
    from tap_rest_api_msdk.settings import CONFIG

    missing = set(CONFIG["properties"]) - with_parts(declared("tap-rest-api-msdk"))
    about = run(str(Path(sys.executable).parent / "tap-rest-api-msdk"), "--about").stdout
    assert [name for name in missing if not re.search(rf"\b{name}\b", about)] == []
    assert [name for name in missing if not CONFIG["properties"][name]["description"]] == []
    assert not missing or "meltano invoke tap-rest-api-msdk --about" in README.read_text()


def test_every_declared_setting_is_known_to_its_plugin() -> None:
    """Meltano accepts a misspelt setting in silence; this does not."""
    from singer_arrow.settings import metas
    from tap_mssql.config.settings import _BUILT_IN
    from tap_mssql.config.settings import Settings as Tap
    from tap_rest_api_msdk.settings import CONFIG
    from target_parquet.settings import Settings as Target

    known: dict[str, Any] = {
        "tap-mssql": {*metas(Tap), *_BUILT_IN},
        "tap-rest-api-msdk": set(CONFIG["properties"]),
        "target-parquet": set(metas(Target)),
    }
    for plugin, settings in known.items():
        assert {name.partition(".")[0] for name in declared(plugin)} - settings == set(), plugin
    for plugin, each in PLUGINS.items():
        parent = each.get("inherit_from", plugin)
        assert set(each.get("config", {})) - known.get(parent, set()) == set(), plugin


def test_every_setting_of_lakehouse_is_documented() -> None:
    from lakehouse.settings import VARIABLES

    assert [variable for variable, _ in VARIABLES.values() if variable not in documented()] == []
