"""A meltano.yml for the published plugins means the same to ours: every setting it names is known here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def extractor(file: str, name: str) -> dict[str, Any]:
    plugins = yaml.safe_load((ROOT / file).read_text())["plugins"]["extractors"]
    return next(plugin for plugin in plugins if plugin["name"] == name)


@pytest.mark.parametrize("name", ["tap-mssql", "tap-rest-api-msdk"])
def test_settings_of_the_published_project_are_declared_in_ours(name: str) -> None:
    published, ours = extractor("bench/published/meltano.yml", name), extractor("meltano.yml", name)
    used = {setting["name"] for setting in published["settings"]} | set(published.get("config", {}))
    assert used - {setting["name"] for setting in ours["settings"]} == set()
