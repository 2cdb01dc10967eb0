"""The project's own Dockerfile, built by a real Docker engine: what is in the image, and what is not."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from image_kit import ROOT, TAG, Image, forms

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]


def test_other_commands_are_passed_on(image: Image) -> None:
    done = image.run(TAG, "meltano", "--version")
    assert done.returncode == 0 and re.fullmatch(r"meltano, version 4\.4\.1\s*", done.stdout)


def test_help_needs_no_configuration(image: Image) -> None:
    done = image.run(TAG, "help")
    assert done.returncode == 0 and done.stdout.startswith("usage: entrypoint.sh")


def test_user_is_10001_and_owns_only_what_a_run_writes(image: Image) -> None:
    assert image.run("--entrypoint", "id", TAG, "-u").stdout.strip() == "10001"
    owned = image.shell("cd /project && find . -user 10001 | sort").split()
    assert owned == ["./.meltano/logs", "./.meltano/run", "./output", "./state"]
    assert image.shell("find /project -perm -o+w ! -type l | head").split() == []


def test_env_file_of_the_context_is_not_in_the_image(image: Image, work: Path) -> None:
    assert (work / "context/.env").is_file()
    names = image.shell("find /project -name '.env*'").split()
    assert names == ["/project/.env.save"]


def test_no_secret_in_history_or_layers(image: Image) -> None:
    history = image.engine.must("history", "--no-trunc", TAG) + image.engine.must("inspect", TAG)
    assert not [form for form in forms(image.secrets) if form in history]
    assert not re.search(r"(password|token)\s*=", history, re.IGNORECASE)
    canary = b"your_databricks_personal_access_token"  # of .env.save: the search would find one that was there
    assert image.engine.layers_with(TAG, [canary, *(form.encode() for form in forms(image.secrets))]) == {canary}


def test_the_image_says_what_is_in_it(image: Image) -> None:
    """A CycloneDX document for each environment, with the very versions that are locked."""
    labels = json.loads(image.engine.must("inspect", "-f", "{{json .Config.Labels}}", TAG))
    assert labels["org.opencontainers.image.title"] == "lighthouse-ingestion-pipeline"
    found = {}
    for name in image.shell("ls /project/sbom").split():
        document = json.loads(image.shell(f"cat /project/sbom/{name}"))
        assert document["bomFormat"] == "CycloneDX"
        found[name.removesuffix(".cdx.json")] = {each["name"].lower(): each.get("version") for each in document["components"]}
    assert set(found) == {"meltano", "tap-mssql", "tap-rest-api-msdk", "target-parquet", "lakehouse"}
    for part, folder in (
        ("tap-mssql", "plugins/extractors/tap-mssql"),
        ("lakehouse", "plugins/utilities/lakehouse"),
        ("meltano", "."),
    ):
        locked = dict(re.findall(r"^([a-z0-9._-]+)==(\S+) \\$", (ROOT / folder / "requirements.txt").read_text(), re.MULTILINE))
        told = {name: found[part][name] for name in locked if name in found[part]}
        assert told.items() <= locked.items() and len(told) > len(locked) * 0.8, locked.keys() - told.keys()


def test_no_tools_of_the_build(image: Image) -> None:
    found = image.shell(
        "for n in gcc cc g++ clang make uv uvx git curl; do command -v $n; done; ls /project/.venv/bin | grep -E '^(uv|pip)'; :"
    )
    assert found == ""
    caches = image.shell(
        "find / -xdev -name '*.whl' -o -path '*/.cache/*' -o -path '*/cache/uv*' -o -path '/var/cache/apt/*.bin'"
    )
    assert [line for line in caches.split() if not re.search("^/usr/share/|/virtualenv/seed/", line)] == []
    assert image.shell("ls -A /var/lib/apt/lists; find /project -name 'uv*' -path '*site-packages/uv*' | head").split() == []
    assert not re.search(r"\b(sandbox|tests|bench|docs|scripts)\b", image.shell("ls -A /project"))


def test_size_and_time(image: Image) -> None:
    """Both are printed; the size is this project's own, without the base's, and has a ceiling."""
    whole, base = (
        int(image.engine.must("image", "inspect", "-f", "{{.Size}}", name))
        for name in (TAG, "localhost/lighthouse-base:bookworm")
    )
    print(f"image: {whole / 1e6:.0f} MB, of which base {base / 1e6:.0f} MB; build {image.seconds:.0f} s")
    print(image.shell("du -sm /project/.venv /project/.meltano/*/*/venv"))
    assert whole - base < 300e6
