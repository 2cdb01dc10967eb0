"""Settings and variables: each is declared in one model, listed in meltano.yml, documented, and read by something."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import openlineage.client
import pytest
import yaml
from docs_kit import README, ROOT, documented, variables_in
from opentelemetry import environment_variables as of_the_api
from opentelemetry.sdk import environment_variables as of_the_sdk

from lakehouse.settings import Settings as Lakehouse
from lighthouse import variables
from lighthouse.project import Project
from singer_arrow import masks
from singer_arrow.settings import Settings, is_secret, metas
from tap_mssql.config.settings import BUILT_IN
from tap_mssql.config.settings import Settings as TapMssql
from tap_rest_api_msdk.settings import Settings as TapRest
from target_parquet.settings import Settings as TargetParquet

PROJECT = Project(ROOT)
MODELS: Mapping[str, type[Settings]] = {"tap-mssql": TapMssql, "tap-rest-api-msdk": TapRest, "target-parquet": TargetParquet}
CONFIGURATION = ROOT / "docs/configuration.md"


def declared(plugin: str) -> set[str]:
    """The settings that meltano.yml lists; `batch_config.encoding.format` stands for `batch_config`."""
    return {name.partition(".")[0] for name in PROJECT.plugins[plugin].settings}


@pytest.mark.parametrize("plugin", MODELS)
def test_meltano_yml_lists_exactly_the_settings_of_the_model(plugin: str) -> None:
    of_the_sdk = BUILT_IN & (declared(plugin) | {"stream_maps", "flattening_enabled"})
    assert declared(plugin) | of_the_sdk == set(metas(MODELS[plugin])) | of_the_sdk


def test_meltano_yml_says_no_kind_since_meltano_would_convert_before_anyone_can_check() -> None:
    listed = [each for plugin in yaml.safe_load((ROOT / "meltano.yml").read_text())["plugins"].values() for each in plugin]
    settings = [setting for plugin in listed for setting in plugin.get("settings", ())]
    assert len(settings) > 100
    assert [setting for setting in settings if set(setting) - {"name", "sensitive"}] == []


@pytest.mark.parametrize("plugin", MODELS)
def test_secrets_are_sensitive_in_meltano_yml(plugin: str) -> None:
    """Meltano redacts what is marked so."""
    import msgspec

    listed = {each["name"]: each.get("sensitive", False) for each in PROJECT.plugins[plugin].declared["settings"]}
    secret = {field.encode_name for field in msgspec.structs.fields(MODELS[plugin]) if is_secret(field.type)}
    assert {name for name, sensitive in listed.items() if sensitive} == secret & set(listed)


def test_the_variable_of_every_secret_is_known_to_the_filter_of_what_is_said() -> None:
    import msgspec

    names = [field.encode_name for field in msgspec.structs.fields(Lakehouse) if is_secret(field.type)]
    for plugin, model in MODELS.items():
        secret = (field.encode_name for field in msgspec.structs.fields(model) if is_secret(field.type))
        names += [f"{plugin}_{name}".upper().replace("-", "_") for name in secret]
    assert len(names) > 10
    login, text = dict.fromkeys(names, "http://me:pa55word@proxy:1"), dict.fromkeys(names, "pa55word")
    objects = dict.fromkeys(names, '{"authorization": "pa55word"}')
    hidden = {
        name
        for given in (login, text, objects)
        for name in names
        if "pa55" not in masks.of({name: given[name]}).hidden("pa55word")
    }
    assert set(names) - hidden == set()


def test_every_configured_setting_is_one() -> None:
    for plugin in PROJECT.plugins.values():
        model = MODELS.get((plugin.parent or plugin).name)
        if model is not None:
            assert set(plugin.declared.get("config", {})) - set(metas(model)) - BUILT_IN == set(), plugin.name


@pytest.mark.parametrize("model", [*MODELS.values(), Lakehouse], ids=lambda model: model.__module__)
def test_every_setting_is_described_in_a_sentence(model: type[Settings]) -> None:
    wrong = [name for name, meta in metas(model).items() if not re.match(r"^[A-Z`$].*[.]$", str(meta.description))]
    assert wrong == []


def test_every_variable_of_the_template_is_documented_and_read() -> None:
    template = re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.save").read_text(), re.MULTILINE)
    read = variables.known(PROJECT) | set(metas(Lakehouse))
    assert len(template) > 10
    assert [name for name in template if name not in documented() or name not in read] == []


def test_every_variable_that_the_documents_name_is_read_by_something() -> None:
    read = variables.known(PROJECT) | set(metas(Lakehouse))
    for document in (README, CONFIGURATION):
        named = {name for name in variables_in(document) if not name.endswith("_")}
        assert [name for name in sorted(named) if name not in read] == [], document


def test_the_variables_of_collectors_that_are_named_are_those_of_their_clients() -> None:
    named = {name for name in variables_in(ROOT / "docs/operations.md") if name.startswith(("OTEL_", "OPENLINEAGE_"))}
    named -= {name for name in named if name.endswith("_FILE") and name.removesuffix("_FILE") in named}
    client = Path(openlineage.client.__file__).parent / "client.py"
    theirs = {name for name in (*dir(of_the_api), *dir(of_the_sdk)) if name.startswith("OTEL_")}
    theirs |= set(re.findall(r"OPENLINEAGE_[A-Z_]*[A-Z]", client.read_text())) | {"OPENLINEAGE_NAMESPACE"}  # of integrations
    assert len(named) > 15 and named - theirs == set()


def test_the_readme_marks_what_is_needed() -> None:
    """Needed are the variables that `check` misses where nothing is set."""
    rows = [row.split("|") for row in README.read_text().splitlines() if row.startswith("| `")]
    needed = {name for row in rows if len(row) > 3 and row[2].strip() == "yes" for name in re.findall(r"`(\w+)`", row[1])}
    missing = {"DATABRICKS_HOST", "DATABRICKS_TOKEN"}
    for name in ("tap-mssql", "tap-rest-api-msdk"):
        plugin = PROJECT.plugins[name]
        _, problems = MODELS[name].check(plugin.config({}))
        missing |= {plugin.variable(problem.setting) for problem in problems if problem.what.startswith("is missing")}
    assert needed == missing
    template = re.findall(r"^([A-Z][A-Z0-9_]+)=", (ROOT / ".env.save").read_text(), re.MULTILINE)
    assert needed <= set(template)
