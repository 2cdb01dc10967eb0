"""Settings of tap-mssql: all problems at once, each with the setting's name, and what Meltano makes of values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from singer_arrow.errors import SettingsRefused
from singer_arrow.settings import json_schema, metas
from tap_mssql.config.settings import Settings, parse

CONFIG = {"host": "db.example.com", "user": "reader", "password": "s3cret", "database": "Shop"}


def test_meltano_hands_over_texts_nulls_and_blanks() -> None:
    settings = parse(
        {
            **CONFIG,
            "port": "1444",
            "encrypt": True,
            "multi_subnet_failover": "true",
            "snapshot": "",
            "query_timeout": None,
            "streams": '["Sales.*", "!*.Archive*"]',
            "stream_options": '{"Sales.*": {"replication_key": "ModifiedDate", "start_value": 5, "key": "a, b"}}',
            "batch_config": {"encoding": {}},
        }
    )
    assert (settings.port, settings.encrypt, settings.multi_subnet_failover) == (1444, "yes", True)
    assert (settings.snapshot, settings.query_timeout) == ("auto", 0)
    assert settings.streams == ("Sales.*", "!*.Archive*")
    [options] = settings.stream_options
    assert (options.pattern, options.replication_key, options.start_value, options.key) == (
        "Sales.*",
        "ModifiedDate",
        "5",
        ("a", "b"),
    )
    assert parse({**CONFIG, "streams": "Sales.*, !*.Archive*"}).streams == settings.streams


def test_defaults_are_gentle() -> None:
    settings = parse(CONFIG)
    assert (settings.authentication, settings.encrypt, settings.application_intent) == ("sql", "yes", "ReadOnly")
    assert (settings.max_parallel, settings.memory_mib, settings.max_query_seconds, settings.max_rows_per_second) == (
        4,
        96,
        10,
        0,
    )
    assert (settings.idle_timeout, settings.retry_seconds, settings.resume_hours) == (60, 300, 24)
    assert (settings.on_schema_drift, settings.on_unreadable, settings.streams) == ("fail", "fail", ())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"user": None}, "user: is missing; authentication: sql needs it (for example user: reader)"),
        ({"password": ""}, "password: is missing; authentication: sql needs it"),
        ({"host": None}, "host: is missing (for example host: db.example.com)"),
        ({"host": "db.example.com,1433"}, "host: must be a name or an address alone"),
        ({"host": "db.example.com:1433"}, "host: must be a name or an address alone"),
        ({"port": "many"}, "port: must be a whole number, not 'many' (for example port: 1433)"),
        ({"max_parallel": 65}, "max_parallel: must be a whole number <= 64, not 65"),
        ({"max_paralel": 2}, "max_paralel: there is no such setting; did you mean max_parallel?"),
        ({"encrypt": "maybe"}, "encrypt: must be yes, strict or no, not 'maybe'"),
        (
            {"authentication": "ntlm"},
            "authentication: must be sql, kerberos, service_principal, managed_identity or default, not 'ntlm'",
        ),
        ({"authentication": "service_principal"}, "client_secret: is missing; authentication: service_principal needs it"),
        ({"authentication": "kerberos"}, "user: is not used by authentication: kerberos"),
        ({"authentication": "kerberos", "user": None}, "password: is not used by authentication: kerberos"),
        ({"server_spn": "MSSQLSvc/db"}, "server_spn: is not used by authentication: sql; remove it, or set"),
        ({"authentication": "managed_identity"}, "password: is not used by authentication: managed_identity"),
        ({"stream_options": [{"pattern": "a.b", "where": "a = 1; DROP TABLE b"}]}, "is one condition; ; is for statements"),
        ({"stream_options": [{"pattern": "a.b", "where": "a = 1) OR (b = 1"}]}, "has parentheses that do not match"),
        ({"stream_options": [{"pattern": "a.b", "where": "a = 1 -- all"}]}, "has a comment"),
        ({"stream_options": [{"pattern": "a.b", "where": "a = 'it''s"}]}, "has a ' that nothing closes"),
        ({"client_secret": "x"}, "client_secret: is not used by authentication: sql"),
        ({"server_certificate": "/no/such.pem"}, "server_certificate: names /no/such.pem, and there is no such file"),
        (
            {"encrypt": "strict", "trust_server_certificate": True},
            "trust_server_certificate: cannot be true with encrypt: strict",
        ),
        ({"streams": "[Sales"}, "streams: is not valid JSON"),
        (
            {"stream_options": {"a.b": {"replicaton_key": "x"}}},
            "replicaton_key: there is no such setting; did you mean replication_key?",
        ),
        (
            {"stream_options": {"a.b": {"replication_method": "CDC"}}},
            "stream_options[a.b].replication_method: must be FULL_TABLE, INCREMENTAL or LOG_BASED, not 'CDC'",
        ),
        (
            {"stream_options": {"a.b": {"replication_method": "full_table", "lookback": 4}}},
            "lookback: has a meaning for replication_method INCREMENTAL only",
        ),
        ({"stream_options": {"a.b": {"key": ["id", "ID"]}}}, "key: names a column twice"),
        (
            {"stream_options": {"a.b": {"start_value": True}}},
            "stream_options[a.b].start_value: must be text, not true",
        ),
        ({"enable_tds_logging": True}, "enable_tds_logging: is always false here"),
        ({"use_date_datatype": False}, "use_date_datatype: is always true here"),
        ({"conn_properties": "SET X"}, "conn_properties: must be empty, not 'SET X'"),
        ({"stream_options": ["a.b"]}, "stream_options[0]: must be an object"),
        ({"stream_options": {"a.b": "id"}}, "stream_options: must be a list of objects, each with its pattern"),
        ({"stream_options": [{"lookback": 5}]}, "stream_options[0].pattern: is missing (for example pattern: Sales.*)"),
        ({"stream_options": '[{"pattern": "a.b",]'}, "stream_options: is not valid JSON"),
        ({"password": 5}, "password: must be text"),
    ],
)
def test_a_wrong_setting_is_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsRefused) as refused:
        parse({**CONFIG, **change})
    assert told in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_options_in_the_form_that_meltano_takes_apart_are_refused_instead_of_lost() -> None:
    """An object in meltano.yml arrives with its keys split at their dots."""
    with pytest.raises(SettingsRefused, match="stream_options: must be a list of objects, each with its pattern") as refused:
        parse({**CONFIG, "stream_options": {"Sales": {"*": {"replication_key": "ModifiedDate"}}}})
    assert '[{"pattern": "Sales.*", "replication_key": "ModifiedDate"}]' in str(refused.value)


def test_options_mean_the_same_in_every_form_that_arrives_whole() -> None:
    entry = {"replication_key": "ModifiedDate", "lookback": "60"}
    forms: list[Any] = [[{"pattern": "Sales.*", **entry}], {"Sales.*": entry}]
    parsed = [parse({**CONFIG, "stream_options": form}).stream_options for each in forms for form in (each, json.dumps(each))]
    assert len(set(parsed)) == 1 and parsed[0][0].lookback == 60
    assert parse({**CONFIG, "stream_options": {"*": entry}}).stream_options[0].pattern == "*"


@pytest.mark.parametrize(("host", "found"), [("[::1]", "::1"), ("::1", "::1"), (" db ", "db"), ("db\\x", "db\\x")])
def test_an_address_may_stand_in_brackets(host: str, found: str) -> None:
    assert parse({**CONFIG, "host": host}).host == found


def test_later_patterns_of_stream_options_lie_over_earlier_ones() -> None:
    settings = parse(
        {
            **CONFIG,
            "stream_options": {
                "*": {"replication_key": "ModifiedDate", "lookback": 60},
                "Sales.*": {"key": "id"},
                "Sales.Orders": {"lookback": 0, "replication_method": "incremental"},
                "*.Small*": {"replication_method": "FULL_TABLE"},
            },
        }
    )
    orders = settings.options_of("Sales", "Orders")
    assert (orders.replication_key, orders.lookback, orders.key, orders.replication_method) == (
        "ModifiedDate",
        0,
        ("id",),
        "INCREMENTAL",
    )
    small = settings.options_of("Sales", "SmallOnes")
    assert (small.replication_method, small.replication_key, small.lookback, small.key) == ("FULL_TABLE", None, None, ("id",))
    assert parse(CONFIG).options_of("a", "b").replication_method is None


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.touch()
    with pytest.raises(SettingsRefused) as refused:
        parse(
            {
                "host": "a;b",
                "port": 0,
                "login_timeout": "soon",
                "server_certificate": str(certificate),
                "trust_server_certificate": "true",
            }
        )
    text = str(refused.value)
    for name in (
        "host",
        "port",
        "login_timeout",
        "database",
        "user",
        "password",
        "server_certificate",
    ):
        assert f"\n  - {name}: " in text, name


@pytest.mark.parametrize("mode", ["managed_identity", "default"])
def test_azure_logins_need_no_password(mode: str) -> None:
    settings = parse({"host": "x.database.windows.net", "database": "d", "authentication": mode})
    assert settings.azure
    assert not parse(CONFIG).azure


def test_the_schema_names_every_setting_and_marks_secrets() -> None:
    schema = json_schema(Settings)
    assert set(schema["properties"]) == set(metas(Settings))
    assert "$defs" not in schema
    assert all("type" in property_ or "anyOf" in property_ for property_ in schema["properties"].values())
    assert all(property_.get("description") for property_ in schema["properties"].values())
    assert {n for n, p in schema["properties"].items() if p.get("writeOnly")} == {"password", "client_secret"}


def test_secrets_are_not_printed() -> None:
    assert "s3cret" not in repr(parse(CONFIG))
