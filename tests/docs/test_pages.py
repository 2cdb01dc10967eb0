"""What the pages for people show is so: paths, YAML, values of .env, messages, and one meaning for each word."""

from __future__ import annotations

import ast
import configparser
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.bundles.jobs import Job
from databricks.bundles.schemas import Schema
from databricks.bundles.volumes import Volume
from docs_kit import DOCUMENTS, README, ROOT

from lighthouse.project import Project
from tap_mssql.config.settings import Settings as TapMssql
from tap_rest_api_msdk.settings import Settings as TapRest

DOCS = ROOT / "docs"
TO_BE_MADE = {"plugins/extractors/tap-jsonl", "plugins/customer.json"}  # by the reader of a how-to; with what is below
TO_BE_MADE |= {"plugins/utilities/lakehouse/src/lakehouse/stages/s3.py"}


def blocks(document: Path, language: str) -> list[str]:
    """A document's fenced blocks in one language, also those inside lists."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", document.read_text(), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(text) for _, text in found]


def test_every_page_is_linked_from_the_readme() -> None:
    pages = {str(page.relative_to(ROOT)) for page in DOCS.glob("*.md")} | {"CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"}
    assert pages - set(re.findall(r"\]\(([^)#]+)", README.read_text())) == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_that_a_document_names_exist(document: Path) -> None:
    folders = "plugins|docs|scripts|tests|bench|sandbox|.ci"
    named = set(re.findall(rf"`((?:{folders})/[^\s`]+)", document.read_text()))
    made = {path for path in named if any(path.startswith(each) for each in TO_BE_MADE)}
    assert [path for path in sorted(named - made) if "…" not in path and not list(ROOT.glob(path))] == []


@pytest.mark.parametrize("document", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_yaml_is_yaml(document: Path) -> None:
    for block in blocks(document, "yaml"):
        assert isinstance(yaml.safe_load(block), dict), block


def config_of(page: str) -> dict[str, Any]:
    """The settings of a page's blocks together."""
    found: dict[str, Any] = {}
    for block in blocks(DOCS / page, "yaml"):
        found |= yaml.safe_load(block).get("config", {})
    return found


@pytest.mark.parametrize(
    ("page", "plugin", "model"),
    [
        ("how-to-add-a-table.md", "tap-mssql", TapMssql),
        ("how-to-add-an-api-stream.md", "tap-rest-api-msdk", TapRest),
    ],
)
def test_the_settings_that_a_how_to_shows_are_accepted(page: str, plugin: str, model: type[Any]) -> None:
    needed = {"TAP_MSSQL_HOST": "h", "TAP_MSSQL_DATABASE": "d", "TAP_MSSQL_USER": "u", "TAP_MSSQL_PASSWORD": "p"}
    needed |= {"API_HOST": "https://api.example.com", "API_USER": "u", "API_PASSWORD": "p"}
    shown = config_of(page)
    assert shown
    _, problems = model.check(Project(ROOT).plugins[plugin].config(needed) | shown)
    assert [str(problem) for problem in problems] == []


@pytest.mark.parametrize(
    "block",
    [each for page in ("how-to-use-entra.md", "how-to-log-in-with-kerberos.md") for each in blocks(DOCS / page, "dotenv")],
)
def test_the_other_logins_that_are_shown_are_complete(block: str) -> None:
    variables = dict(line.split("=", 1) for line in block.splitlines())
    needed = {"TAP_MSSQL_HOST": "h", "TAP_MSSQL_DATABASE": "d"}
    config = Project(ROOT).plugins["tap-mssql"].config(needed | variables)
    _, problems = TapMssql.check(config)
    assert [str(problem) for problem in problems] == [] and config["authentication"] != "sql"


def test_the_recipes_run_the_image_with_variables_of_the_pipeline_one_run_at_a_time() -> None:
    """None of the schedulers is here: what is read is what each of them would read, as its own format."""
    page = DOCS / "how-to-schedule.md"
    cron, override, action, _ = map(yaml.safe_load, blocks(page, "yaml"))
    [container] = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    service = override["services"]["pipeline"]
    template = (ROOT / ".env.save").read_text()
    for names in ([each["name"] for each in container["env"]], list(service["environment"])):
        assert names and [name for name in names if f"{name.removesuffix('_FILE')}=" not in template] == []
    assert cron["spec"]["concurrencyPolicy"] == "Forbid" and action["concurrency"]
    assert container["image"] == "lighthouse-ingestion-pipeline"
    units = [configparser.ConfigParser(strict=True, interpolation=None) for _ in blocks(page, "ini")]
    for unit, text in zip(units, blocks(page, "ini"), strict=True):
        unit.optionxform = str  # type: ignore[assignment,method-assign]  # names of systemd have capitals
        unit.read_string(text)
    assert units[0]["Service"]["ExecStart"].split()[-1] == "lighthouse-ingestion-pipeline"
    assert {"OnCalendar", "Persistent"} <= units[1]["Timer"].keys()
    [dag] = map(ast.parse, blocks(page, "python"))
    given = {each.arg: ast.unparse(each.value) for node in ast.walk(dag) if isinstance(node, ast.Call) for each in node.keywords}
    assert given["image"] == "'lighthouse-ingestion-pipeline'" and given["max_active_runs"] == "1"


RESOURCES = {"schemas": Schema, "volumes": Volume, "jobs": Job}


def test_the_asset_bundle_has_fields_that_databricks_knows_and_the_places_of_the_page() -> None:
    """By Databricks' own models of a bundle's resources, which know no other field; no CLI that has bundles is here."""
    page = DOCS / "how-to-schedule.md"
    bundle = yaml.safe_load(blocks(page, "yaml")[-1])
    assert bundle.keys() == {"bundle", "variables", "resources", "targets"} and bundle["resources"].keys() == RESOURCES.keys()
    made = {
        (kind, name): RESOURCES[kind].from_dict(each)
        for kind, all_of_it in bundle["resources"].items()
        for name, each in all_of_it.items()
    }
    used = set(re.findall(r"\$\{var\.(\w+)\}", str(bundle)))
    assert used == bundle["variables"].keys()
    catalog, schema, volume = bundle["variables"]["catalog"]["default"], made["schemas", "lighthouse"], made["volumes", "stage"]
    assert f"`LAKEHOUSE_STAGE=/Volumes/{catalog}/{schema.name}/{volume.name}`" in page.read_text()
    assert f"`LAKEHOUSE_TARGET={catalog}.{schema.name}`" in page.read_text()
    granted = re.findall(r"GRANT (.+) ON (SCHEMA|VOLUME) main\.", (DOCS / "security.md").read_text())
    for resource, kind in ((schema, "SCHEMA"), (volume, "VOLUME")):
        wanted = {each.replace(" ", "_") for words, of in granted if of == kind for each in words.split(", ")}
        assert {each.value for grant in resource.grants for each in grant.privileges} == wanted


def texts(tree: ast.AST) -> Iterator[str]:
    """Every text of a module, with … for what is filled in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(each.value) if isinstance(each, ast.Constant) else "…" for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache
def messages() -> str:
    """Every text of the product, one a line."""
    found = [text for file in ROOT.glob("plugins/*/*/src/**/*.py") for text in texts(ast.parse(file.read_text()))]
    scripts = [(ROOT / name).read_text() for name in ("entrypoint.sh", "scripts/setup")]
    return "\n".join([*found, *(re.sub(r"\$\{?\w+\}?(/[\w./]+)?|\$\([^)]*\)", "…", text) for text in scripts)])


OF_THE_SYSTEM = {"No space left on device"}


def shown_messages() -> list[str]:
    rows = re.findall(r"^\| `([^`]+)`", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    return [row for row in rows if row not in OF_THE_SYSTEM]


@pytest.mark.parametrize("shown", shown_messages())
def test_the_messages_of_the_troubleshooting_page_are_the_real_ones(shown: str) -> None:
    pattern = r"[^\n]*".join(re.escape(piece) for piece in shown.split("…"))
    assert re.search(pattern, messages()), shown


def test_the_glossary_defines_each_word_once() -> None:
    words = re.findall(r"^\| ([^|`]+?(?: `\w+`)?) \| (?!meaning)", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    words = [word for word in words if word != "---"]
    assert len(words) > 50
    assert sorted({word for word in words if words.count(word) > 1}) == []


OTHER_WORDS = {  # words that the glossary has another one for
    r"counterparts?": "the sandbox's server",
    r"watermark": "bookmark",
    r"chunks?": "range",
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_document_uses_another_word_for_what_the_glossary_names(document: Path) -> None:
    found = {word: instead for word, instead in OTHER_WORDS.items() if re.search(rf"\b{word}\b", document.read_text(), re.I)}
    assert found == {}
