"""One filter keeps secrets out of what is said: every one of the run, in every form that tools write them in."""

from __future__ import annotations

import base64
import json
import logging
import os
import subprocess
import sys
from urllib.parse import quote, quote_plus

import pytest

from lighthouse.meltano_lines import Lines
from singer_arrow import masks

SECRET = 'pä"ss w/rd+%&\\9'
VARIABLES = {
    "TAP_MSSQL_PASSWORD": SECRET,
    "API_PASSWORD": SECRET,
    "DATABRICKS_TOKEN": SECRET,
    "DATABRICKS_CLIENT_SECRET": SECRET,
    "GOOGLE_CREDENTIALS": SECRET,
    "ALERT_WEBHOOK": SECRET,
    "TAP_REST_API_MSDK_API_KEYS": json.dumps({"X-Key": SECRET}),
    "TAP_REST_API_MSDK_HEADERS": json.dumps({"Authorization": SECRET, "Accept": "application/json"}),
    "OTEL_EXPORTER_OTLP_HEADERS": f"x-tenant=one,authorization=Bearer%20{quote(SECRET, safe='')}",
    "OPENLINEAGE_API_KEY": SECRET,
    "OPENLINEAGE__TRANSPORT__AUTH": json.dumps({"type": "api_key", "apiKey": SECRET}),
    "OPENLINEAGE__TRANSPORT__AUTH__APIKEY": SECRET,
    "TAP_REST_API_MSDK_PARAMS": json.dumps({"api_key": SECRET, "format": "long words"}),
    "https_proxy": f"http://me:{quote(SECRET, safe='')}@proxy.example:3128",
}
FORMS = {
    "plain": SECRET,
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "Basic": base64.b64encode(f"reader:{SECRET}".encode()).decode(),
    "URL": quote(SECRET, safe=""),
    "form": quote_plus(SECRET),
    "JSON": json.dumps(SECRET),
    "JSON in UTF-8": json.dumps(SECRET, ensure_ascii=False),
}


@pytest.mark.parametrize("name", VARIABLES)
def test_each_form_of_a_secret_is_masked_and_nothing_else(name: str) -> None:
    known = masks.of({name: VARIABLES[name], "TAP_MSSQL_USER": "reader", "LAKEHOUSE_CLUSTER_BY_KEY": "true"})
    for form, written in FORMS.items():
        hidden = known.hidden(f"login {written} failed")
        assert hidden.replace('"', "").replace("=", "") == "login *** failed", (form, hidden)
    harmless = "true: reader read application/json of long words at proxy.example"
    assert known.hidden(harmless) == harmless


def test_meltanos_lines_and_those_of_every_program_go_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_PASSWORD", SECRET)
    monkeypatch.setenv("API_USER", "reader")
    masks.of_run.cache_clear()
    try:
        for event in FORMS.values():
            for told in (
                {"event": f"says {event}", "name": "tap-jsonl"},
                {"event": f"12:00:00  extract  {event}", "name": "tap-x"},
            ):
                record = logging.LogRecord("meltano.x", logging.INFO, __file__, 1, told, None, None)  # type: ignore[arg-type]
                assert "***" in Lines().format(record) and event not in Lines().format(record)
    finally:
        masks.of_run.cache_clear()
    script = (
        "import sys; from singer_arrow import exits, lines; lines.say('extract', sys.stdin.read()); exits.leave('tap-x', '{}', 3)"
    )
    for form in ("text", "json"):
        told = subprocess.run(
            [sys.executable, "-c", script.format("tap says pa55word")],
            env=os.environ | {"API_PASSWORD": "pa55word", "LOG_FORMAT": form},
            input="a pa55word", capture_output=True, text=True,
        )  # fmt: skip
        assert told.returncode == 3 and "pa55word" not in told.stderr and told.stderr.count("***") == 2, told.stderr
