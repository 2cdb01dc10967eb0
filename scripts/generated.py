"""The files that are made from declarations in the code: `FILES` names each with what writes its text."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import configuration_page
import msgspec

from lakehouse.run_report.document import RunReport
from lakehouse.steps.alert import Alert
from singer_arrow import schemas
from singer_arrow.documents import (
    DeltaFigures,
    LedgerRow,
    LoadDocument,
    LogLine,
    Manifest,
    PublishedDocument,
    Reconciliation,
    SourceFigures,
)

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = "plugins/shared/singer-arrow/schemas"


def _schema(model: type[msgspec.Struct]) -> Callable[[], str]:
    return lambda: json.dumps(schemas.json_schema(model), indent=2, ensure_ascii=False) + "\n"


FILES: dict[str, Callable[[], str]] = {
    f"{SCHEMAS}/load-document.json": _schema(LoadDocument),
    f"{SCHEMAS}/manifest.json": _schema(Manifest),
    f"{SCHEMAS}/published-document.json": _schema(PublishedDocument),
    f"{SCHEMAS}/ledger-row.json": _schema(LedgerRow),
    f"{SCHEMAS}/source-figures.json": _schema(SourceFigures),
    f"{SCHEMAS}/delta-figures.json": _schema(DeltaFigures),
    f"{SCHEMAS}/reconciliation.json": _schema(Reconciliation),
    f"{SCHEMAS}/log-line.json": _schema(LogLine),
    f"{SCHEMAS}/run-report.json": _schema(RunReport),
    f"{SCHEMAS}/alert.json": _schema(Alert),
    "docs/configuration.md": lambda: configuration_page.page(ROOT),
}


def main(arguments: list[str]) -> int:
    """Writes the files, or with `--check` names those that differ; the exit code."""
    if arguments not in ([], ["--check"]):
        print("usage: scripts/generate [--check]", file=sys.stderr)
        return 2
    texts = {ROOT / name: text() for name, text in FILES.items()}
    differing = [path for path, text in texts.items() if not path.is_file() or path.read_text() != text]
    for path in differing:
        if not arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(texts[path])
        print(
            f"generate: {path.relative_to(ROOT)}: {'differs; run scripts/generate' if arguments else 'written'}", file=sys.stderr
        )
    return 1 if arguments and differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
