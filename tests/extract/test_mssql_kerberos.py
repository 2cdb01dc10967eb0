"""Kerberos logins: MIT's KDC, the Microsoft driver, and a server that takes tickets by its keytab."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kerberos_kit import Realm, realm
from mssql_kit import LIMIT_SECONDS, TAP, Tap, good
from settings_kit import at

from sandbox import project
from sandbox.launch import Counterpart, counterpart
from tap_mssql.config.settings import Settings
from tap_mssql.doctor import report
from tap_mssql.errors import ConnectionRefused
from tap_mssql.server.connection import connect

pytestmark = pytest.mark.kerberos
SPN = "MSSQLSvc/db.example.test:1433"
ROWS = 100


@dataclass(frozen=True)
class Domain:
    """A realm, and a server that the account `reader` may log in to."""

    realm: Realm
    server: Counterpart

    def settings(self, **changes: object) -> Settings:
        """Of a Kerberos login."""
        return at(self.server, **{"authentication": "kerberos", "user": None, "password": None, "server_spn": SPN} | changes)

    def tap(self, folder: Path, **changes: object) -> Tap:
        """The tap, logging in so."""
        return Tap(self.server, folder, {"authentication": "kerberos", "user": None, "password": None} | changes)


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    folder = tmp_path_factory.mktemp("kerberos")
    pq.write_table(pa.table({"id": pa.array(range(ROWS), pa.int32())}), folder / "rows.parquet")
    with realm(folder) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5_CONFIG", str(running.client))
        running.add(SPN, "reader", "stranger")
        keytab = running.keytab(SPN, "server")
        options = ("--only-parquet", "--parquet", f"big.Many={folder / 'rows.parquet'}:id")
        windows = ("--keytab", str(keytab), "--windows-login", r"EXAMPLE\reader")
        with counterpart("sqlserver", folder / "server", *options, *windows) as server:
            yield Domain(running, server)


@pytest.fixture(autouse=True)
def nobody(domain: Domain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a ticket, unless a test has one."""
    monkeypatch.setenv("KRB5CCNAME", str(tmp_path / "cache"))
    monkeypatch.delenv("KRB5_CLIENT_KTNAME", raising=False)


def test_who_has_a_ticket_reads_and_the_server_is_asked_for_by_its_address(
    domain: Domain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_address = f"MSSQLSvc/127.0.0.1:{domain.server.facts['port']}"
    domain.realm.add(by_address)
    domain.realm.keytab(by_address, "server")
    monkeypatch.setenv("KRB5CCNAME", str(domain.realm.tickets("reader")))
    read = good(domain.tap(tmp_path / "tap").run())
    assert read.rows == {"big-Many": set(range(ROWS))}


def test_a_keytab_is_enough_and_no_ticket_is_kept(domain: Domain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5CCNAME", "MEMORY:")
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", str(domain.realm.keytab("reader")))
    found = report.examine(domain.settings(), only_login=True)
    assert [(each.name, each.status) for each in found] == [("network", "ok"), ("TLS", "ok"), ("login", "ok")]
    assert found[-1].text == r"as EXAMPLE\reader, by Kerberos"
    connection = connect(domain.settings())
    with connection.execute("SELECT auth_scheme FROM sys.dm_exec_connections WHERE session_id = @@SPID") as cursor:
        assert cursor.fetchone()[0] == "KERBEROS"
    connection.close()
    read = good(domain.tap(tmp_path / "tap", server_spn=SPN, max_parallel=4, range_rows=30).read())
    assert read.rows == {"big-Many": set(range(ROWS))}


def test_what_kerberos_needs_may_be_in_the_env_file(domain: Domain, tmp_path: Path) -> None:
    folder, config = project.make(tmp_path / "project"), tmp_path / "config.json"
    kerberos = {"KRB5_CONFIG": domain.realm.client, "KRB5CCNAME": "MEMORY:", "KRB5_CLIENT_KTNAME": domain.realm.keytab("reader")}
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in kerberos.items()))
    config.write_text(json.dumps(domain.tap(tmp_path, server_spn=SPN).config()))
    command = [str(folder / "entrypoint.sh"), str(TAP), "--config", str(config), "--doctor"]
    told = subprocess.run(command, env=project.environment(folder, {}), capture_output=True, text=True, timeout=LIMIT_SECONDS)
    assert r"as EXAMPLE\reader, by Kerberos" in told.stdout, told.stderr


def test_without_a_ticket_the_tap_ends_saying_what_to_set(domain: Domain, tmp_path: Path) -> None:
    refused = domain.tap(tmp_path / "tap", server_spn=SPN).run()
    assert refused.code == 3
    assert "there is no Kerberos ticket: SSPI Provider: No credentials were supplied" in refused.said
    assert "set KRB5_CLIENT_KTNAME to a keytab" in refused.said
    assert "Traceback" not in refused.said
    assert not refused.streams


def refusal(settings: Settings) -> str:
    """What is said of a login that fails."""
    with pytest.raises(ConnectionRefused) as refused:
        connect(settings)
    assert "Nothing was read. What to do: " in str(refused.value)
    return str(refused.value)


def test_an_account_that_is_no_login_of_the_server_is_refused(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", str(domain.realm.keytab("stranger")))
    told = refusal(domain.settings())
    assert r"the login was refused: error 18456: Login failed for user 'EXAMPLE\stranger'" in told
    assert r"CREATE LOGIN [DOMAIN\name] FROM WINDOWS" in told
    found = report.examine(domain.settings(), only_login=True)[-1]
    assert (found.name, found.status) == ("login", "failed")


def test_a_ticket_for_another_service_is_not_taken(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "MSSQLSvc/other.example.test"
    domain.realm.add(other)
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", str(domain.realm.keytab("reader")))
    told = refusal(domain.settings(server_spn=other))
    assert "error 18452: Login failed. The login is from an untrusted domain" in told
    assert "service principal name belongs to the account it runs as" in told


def test_a_server_that_the_domain_does_not_know_by_this_name_is_told(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", str(domain.realm.keytab("reader")))
    told = refusal(domain.settings(server_spn="MSSQLSvc/nobody"))
    assert "the domain knows no such service principal name: SSPI Provider: Server MSSQLSvc/nobody@EXAMPLE.TEST not" in told
    assert "set TAP_MSSQL_HOST to the full name" in told and "TAP_MSSQL_SERVER_SPN" in told


def test_an_expired_ticket_is_told(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5CCNAME", str(domain.realm.tickets("reader", "-l1s")))
    with pytest.raises(ConnectionRefused) as refused:
        while True:  # until that second is over
            connect(domain.settings()).close()
            time.sleep(0.1)
    told = str(refused.value)
    assert "the Kerberos ticket has expired: SSPI Provider: Ticket expired" in told
    assert "type kinit again" in told


def test_a_keytab_with_an_old_key_or_of_an_account_that_is_off_or_gone_is_told(
    domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    for account, change, what in (
        ("rekeyed", ("cpw", "-randkey"), "the domain refuses the keytab's key"),
        ("disabled", ("modprinc", "-allow_tix"), "the account is disabled or locked"),
        ("deleted", ("delprinc", "-force"), "the domain does not know the keytab's account"),
    ):
        domain.realm.add(account)
        monkeypatch.setenv("KRB5_CLIENT_KTNAME", str(domain.realm.keytab(account)))
        domain.realm.change(*change, account)
        assert f"{what}: SSPI Provider: " in refusal(domain.settings())


def test_what_is_wrong_on_this_machine_is_told(domain: Domain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5_CLIENT_KTNAME", str(domain.realm.keytab("reader")))
    unreached = tmp_path / "unreached.conf"
    unreached.write_text(re.sub(r"kdc = .*", "kdc = 127.0.0.1:1", domain.realm.client.read_text()))
    nowhere = tmp_path / "nowhere.conf"
    nowhere.write_text("[libdefaults]\ndefault_realm = EXAMPLE.TEST\ndns_lookup_kdc = false\n")
    for name, value, what in (
        ("KRB5_CONFIG", tmp_path / "no such file", "Kerberos is not configured here"),
        ("KRB5_CONFIG", nowhere, "no Kerberos server (KDC) answers"),
        ("KRB5_CONFIG", unreached, "no Kerberos server (KDC) answers"),
        ("KRB5CCNAME", tmp_path / "no such folder" / "cache", "the new ticket could not be stored"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, str(value))
            assert f"{what}: SSPI Provider: " in refusal(domain.settings())
