"""A plugin's settings with their values: by our own reading of meltano.yml, or by Meltano where that says more than we read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from lighthouse.project import MELTANO, Plugin, Project, Value, nested


def values(project: Project, plugin: Plugin, environment: Mapping[str, str]) -> dict[str, Value]:
    """Settings by dotted name; of what Meltano resolves, the variable is not known. Raises SystemExit where Meltano fails."""
    if not project.beyond:
        return plugin.values(environment)
    environment_option = [f"--environment={project.environment}"] if project.environment else []
    done = subprocess.run(
        [str(project.folder / MELTANO), "--log-level=error", *environment_option, "config", "--unsafe", "print", plugin.name],
        cwd=project.folder,
        env=dict(environment),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"Meltano cannot read the configuration of {plugin.name} in meltano.yml:\n{done.stderr.strip()}")
    return {name: Value(value) for name, value in json.loads(done.stdout).items()}


def config(project: Project, plugin: Plugin, environment: Mapping[str, str]) -> dict[str, Any]:
    """The configuration that Meltano would hand to the plugin, secrets included."""
    return nested({name: value.value for name, value in values(project, plugin, environment).items()})
