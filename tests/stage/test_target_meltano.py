"""A tap that dies under `meltano run`, as entrypoint.sh starts it: what it had sent whole is staged, the rest is not."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from ruamel.yaml import YAML

from sandbox import project
from sandbox.launch import ROOT

TAP = '''#!{python}
"""Two streams in pages of 100; the second one dies on its third page."""
from singer_sdk import Stream, Tap

class Pages(Stream):
    schema = {{"properties": {{"id": {{"type": "integer"}}}}}}
    primary_keys = ["id"]

    def get_records(self, context):
        for page in range(3):
            if (page, self.name) == (2, "orders"):
                raise ConnectionError("page 3 did not come")
            yield from ({{"id": page * 100 + number}} for number in range(100))

class TapDying(Tap):
    name = "tap-dying"
    config_jsonschema = {{"properties": {{}}}}

    def discover_streams(self):
        return [Pages(self, name=name) for name in ("lines", "orders")]

TapDying.cli()
'''

NOWHERE = {"DATABRICKS_HOST": "https://nowhere.test", "DATABRICKS_TOKEN": "x", "DATABRICKS_CLUSTER_ID": "x"}  # nothing is sent


def test_a_tap_that_dies_after_its_second_page_leaves_nothing_of_that_stream(tmp_path: Path) -> None:
    folder = project.make(tmp_path / "project")
    tap = folder / "tap-dying"
    tap.write_text(TAP.format(python=ROOT / ".meltano/extractors/tap-mssql/venv/bin/python"))
    tap.chmod(0o755)
    yaml = YAML()
    content = yaml.load(folder / "meltano.yml")
    content["plugins"]["extractors"].append(
        {"name": "tap-dying", "namespace": "tap_dying", "executable": str(tap), "capabilities": ["discover", "catalog", "state"]}
    )
    loader = {"destination_path": "output/docker_elt/files", "source": "files", "default_schema": "files"}
    content["plugins"]["loaders"].append({"name": "target-parquet-files", "inherit_from": "target-parquet", "config": loader})
    content["jobs"] = [{"name": "pipeline", "tasks": ["tap-dying target-parquet-files"]}]
    yaml.dump(content, folder / "meltano.yml")
    environment = project.environment(folder, NOWHERE)

    extract = [str(folder / "entrypoint.sh"), "extract"]
    done = subprocess.run(extract, env=environment, capture_output=True, text=True, timeout=120, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 3, said
    assert "stream orders: the tap ended before its load was complete: 200 records or BATCHes came" in said
    assert "page 3 did not come" in said
    manifests = [json.loads(path.read_text()) for path in (folder / "output/docker_elt/files/_manifests").iterdir()]
    assert [(each["stream"], each["rows"]) for each in manifests] == [("lines", 300)]
    assert not [*(folder / "output/docker_elt/files").glob("orders/*.parquet")]
