"""docs/contracts.md, the models and the JSON Schema files say the same of each document."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import msgspec
import pytest
from docs_kit import ROOT, run
from lakehouse_kit import fits

from lakehouse.job_file import joined
from singer_arrow.documents import LedgerRow, LoadDocument, Manifest, PublishedDocument

CONTRACTS = (ROOT / "docs/contracts.md").read_text()


def section(heading: str) -> str:
    """The text below a heading, up to the next of its level."""
    return re.split(r"^## ", CONTRACTS.split(f"\n## {heading}", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def example(heading: str) -> dict[str, Any]:
    [block] = re.findall(r"^```json\n(.*?)^```", section(heading), re.MULTILINE | re.DOTALL)
    return dict(json.loads(block))


def fields(model: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(model)]


def paths(value: Any, place: str = "") -> set[str]:
    """Where a document has fields: `files[].path`. Objects whose keys are names of columns or streams have `*`."""
    if isinstance(value, list):
        return set().union(*(paths(each, place + "[]") for each in value))
    if not isinstance(value, dict):
        return set()
    if place == "figures":
        return set()
    if place in ("columns", "bookmarks", "bookmarks.*", "bookmark"):
        return set().union(*(paths(each, f"{place}.*") for each in value.values()))
    prefix = f"{place}." if place else ""
    return set().union(*({prefix + name} | paths(each, prefix + name) for name, each in value.items()))


def schema_paths(name: str) -> set[str]:
    """The same, from a JSON Schema file."""
    schema = json.loads((ROOT / f"plugins/shared/singer-arrow/schemas/{name}.json").read_text())

    def walk(part: dict[str, Any], place: str) -> set[str]:
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rpartition("/")[2]]
        found = set().union(*(walk(each, place) for each in part.get("anyOf", [])))
        prefix = f"{place}." if place else ""
        for each, what in part.get("properties", {}).items():
            found |= {prefix + each} | walk(what, prefix + each)
        if isinstance(part.get("additionalProperties"), dict):
            found |= walk(part["additionalProperties"], f"{place}.*")
        return found | (walk(part["items"], f"{place}[]") if "items" in part else set())

    return walk(schema, "")


def test_the_schema_files_are_those_of_the_models() -> None:
    done = run("scripts/generate", "--check", LIGHTHOUSE_NO_SETUP="1")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("heading", "name", "not_shown"),
    [
        (
            "Manifest, version 1",
            "manifest",
            {"cursor.column", "cursor.from", "cursor.to", "columns.*.length", "columns.*.nan", "schema[].collation"}
            | {"ranges[].lower", "ranges[].upper"},
        ),
        ("Published document", "published-document", set()),
        ("Lines of a run", "log-line", set()),
    ],
)
def test_the_examples_have_the_fields_of_the_models(heading: str, name: str, not_shown: set[str]) -> None:
    assert paths(example(heading)) | not_shown == schema_paths(name)


def test_the_fields_not_shown_in_the_manifest_are_told() -> None:
    text = section("Manifest, version 1")
    assert '`{"column": …, "from": null or text, "to": null or text}`' in text and "`length`" in text


def test_the_load_document_is_the_manifest_but_for_the_fields_that_are_named() -> None:
    without, with_, *_ = re.findall(r"(?:without|and with) ((?:`\w+`(?:, | and )?)+)", section("Load document"))
    names = [set(re.findall(r"`(\w+)`", text)) for text in (without, with_)]
    assert set(fields(Manifest)) - names[0] | names[1] == set(fields(LoadDocument))


def job_ledger() -> dict[str, str]:
    """The columns of the ledger as the job declares them."""
    for node in ast.parse(joined()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "LEDGER_SCHEMA":
            return dict(each.split() for each in ast.literal_eval(node.value).split(", "))
    raise AssertionError("the job declares no ledger")


def test_the_ledger_has_the_columns_of_its_model_in_the_documents_and_in_the_job() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", section("Ledger"), re.MULTILINE))
    assert told == job_ledger() and list(told) == fields(LedgerRow)
    kinds = {"string": "string", "bigint": "integer", "timestamp": "string"}
    schema = json.loads((ROOT / "plugins/shared/singer-arrow/schemas/ledger-row.json").read_text())["properties"]
    for name, kind in told.items():
        types = [each.get("type", "string") for each in schema[name].get("anyOf", [schema[name]])]
        assert types[0] == kinds[kind], name


def test_a_published_document_without_its_target_does_not_fit() -> None:
    document = example("Published document") | {"order": "0a1b2c3d4e5f"}
    document["loads"][0]["status"] = "applied"
    fits("published-document", document)
    assert {"target", "order", "committed"} < set(fields(PublishedDocument))
    for name in document:
        with pytest.raises(AssertionError, match=f"'{name}' is a required property"):
            fits("published-document", {field: value for field, value in document.items() if field != name})
