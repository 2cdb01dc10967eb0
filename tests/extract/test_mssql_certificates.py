"""Whom the tap trusts: an authority's certificate, with TDS 8 the server's own too, and never another name."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from mssql_kit import Tap, good

from sandbox.launch import Counterpart, counterpart
from tap_mssql.config.settings import parse
from tap_mssql.doctor.checks import tls
from tap_mssql.server.handshake import is_named

NAME = "sql.example.com"
STREAM = ["Production.Product"]


@dataclass(frozen=True)
class Signed:
    """A counterpart whose certificate an authority has signed, and the files with both certificates."""

    server: Counterpart
    authority: Path
    own: Path


IP = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    yield from serving(tmp_path_factory.mktemp("signed"), [x509.DNSName(NAME), x509.DNSName("127.0.0.1"), IP])


@pytest.fixture(scope="module")
def addressed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    """The same with a certificate that has the address as an address alone, as certificate tools write it."""
    yield from serving(tmp_path_factory.mktemp("addressed"), [x509.DNSName(NAME), IP])


def serving(folder: Path, others: list[x509.GeneralName]) -> Iterator[Signed]:
    authority, own = folder / "authority.pem", folder / "data/ca.pem"
    own.parent.mkdir()
    above, below = (rsa.generate_private_key(public_exponent=65_537, key_size=2_048) for _ in range(2))
    authority.write_bytes(certificate("Authority", above, above, others, signs=True))
    own.write_bytes(certificate("Server", below, above, others, signs=False))
    kind = serialization.PrivateFormat.PKCS8
    (own.parent / "key.pem").write_bytes(below.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()))
    with counterpart("sqlserver", folder, "--scale", "0.001") as running:
        yield Signed(running, authority, own)


def certificate(name: str, key: rsa.RSAPrivateKey, by: rsa.RSAPrivateKey, others: list[x509.GeneralName], signs: bool) -> bytes:
    """PEM, valid for some days, with alternative names."""
    now = dt.datetime.now(dt.UTC)
    subject, issuer = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, n)]) for n in (name, "Authority"))
    built = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=signs, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(others), critical=False)
    )
    return built.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("encrypt", "file", "trusted"),
    [
        ("yes", "authority", True),
        ("yes", "own", False),
        ("yes", None, False),
        ("strict", "authority", True),
        ("strict", "own", True),
        ("strict", None, False),
    ],
)
def test_a_certificate_is_trusted_by_its_authority_and_with_tds_8_by_itself(
    encrypt: str, file: str | None, trusted: bool, signed: Signed, tmp_path: Path
) -> None:
    tap = Tap(signed.server, tmp_path, {"encrypt": encrypt, "server_certificate": file and str(getattr(signed, file))})
    ran = tap.read(streams=STREAM)
    assert (ran.code == 0) is trusted, ran.said
    assert trusted or "the server's certificate is not trusted" in ran.said
    assert tls(parse(tap.config())).status == ("ok" if trusted else "failed"), "what doctor says"


@pytest.mark.parametrize("encrypt", ["yes", "strict"])
def test_a_certificate_of_another_name_is_refused_unless_that_name_is_given(encrypt: str, signed: Signed, tmp_path: Path) -> None:
    tap = Tap(signed.server, tmp_path, {"host": "localhost", "server_certificate": str(signed.authority), "encrypt": encrypt})
    refused = tap.read(streams=STREAM)
    assert refused.code == 3
    assert "the server's certificate was issued for another name" in refused.said
    assert "TAP_MSSQL_HOST_NAME_IN_CERTIFICATE" in refused.said
    assert tls(parse(tap.config())).status == "failed"
    good(tap.read(streams=STREAM, host_name_in_certificate=NAME))
    assert tls(parse(tap.config(host_name_in_certificate=NAME))).status == "ok"


ADDRESS = ("IP Address", "127.0.0.1")


@pytest.mark.parametrize(
    ("common", "others", "taken"),
    [
        ("Server", [ADDRESS], False),
        ("Server", [ADDRESS, ("DNS", NAME)], False),
        ("127.0.0.1", [ADDRESS], False),
        ("127.0.0.1", [("DNS", NAME)], False),
        ("127.0.0.1", [], True),
        ("Server", [("DNS", "127.0.0.1")], True),
    ],
)
def test_a_certificate_is_for_an_address_where_the_driver_says_so(common: str, others: list[Any], taken: bool) -> None:
    """An entry of the kind IP address is nothing to the driver; the next test sees it and doctor agree over a connection."""
    certificate = {"subject": ((("commonName", common),),), "subjectAltName": tuple(others)}
    assert is_named(certificate, "127.0.0.1") is taken


@pytest.mark.parametrize("encrypt", ["yes", "strict"])
def test_doctor_and_driver_agree_about_a_certificate_for_an_ip_address(encrypt: str, addressed: Signed, tmp_path: Path) -> None:
    tap = Tap(addressed.server, tmp_path, {"server_certificate": str(addressed.authority), "encrypt": encrypt})
    refused, found = tap.read(streams=STREAM, retry_seconds=0), tls(parse(tap.config()))
    assert refused.code == 3 and "issued for another name" in refused.said
    assert found.status == "failed" and "does not name 127.0.0.1 among its DNS names" in found.text
    good(tap.read(streams=STREAM, host_name_in_certificate=NAME))
    assert tls(parse(tap.config(host_name_in_certificate=NAME))).status == "ok"


def test_a_name_beside_the_one_of_the_host_is_allowed_not_asked_for(signed: Signed, tmp_path: Path) -> None:
    """The driver takes either; doctor says the same."""
    tap = Tap(
        signed.server, tmp_path, {"server_certificate": str(signed.authority), "host_name_in_certificate": "db.example.com"}
    )
    good(tap.read(streams=STREAM))
    assert tls(parse(tap.config())).status == "ok"
