"""Whom the tap trusts: an authority's certificate, with TDS 8 the server's own too, and never another name."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from mssql_kit import Tap, good

from sandbox.launch import Counterpart, counterpart
from tap_mssql.config.settings import parse
from tap_mssql.doctor.checks import tls

NAME = "sql.example.com"
STREAM = ["Production.Product"]


@dataclass(frozen=True)
class Signed:
    """A counterpart whose certificate an authority has signed, and the files with both certificates."""

    server: Counterpart
    authority: Path
    own: Path


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    folder = tmp_path_factory.mktemp("signed")
    authority, own = folder / "authority.pem", folder / "data/ca.pem"
    own.parent.mkdir()
    above, below = (rsa.generate_private_key(public_exponent=65_537, key_size=2_048) for _ in range(2))
    authority.write_bytes(certificate("Authority", above, above, signs=True))
    own.write_bytes(certificate("Server", below, above, signs=False))
    kind = serialization.PrivateFormat.PKCS8
    (own.parent / "key.pem").write_bytes(below.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()))
    with counterpart("sqlserver", folder, "--scale", "0.001") as running:
        yield Signed(running, authority, own)


def certificate(name: str, key: rsa.RSAPrivateKey, by: rsa.RSAPrivateKey, signs: bool) -> bytes:
    """PEM, valid for some days, for NAME and 127.0.0.1."""
    now = dt.datetime.now(dt.UTC)
    subject, issuer = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, n)]) for n in (name, "Authority"))
    built = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=signs, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(NAME), x509.DNSName("127.0.0.1"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
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
    ran = tap.run(streams=STREAM)
    assert (ran.code == 0) is trusted, ran.said
    assert trusted or "the server's certificate is not trusted" in ran.said
    assert tls(parse(tap.config())).status == ("ok" if trusted else "failed"), "what doctor says"


@pytest.mark.parametrize("encrypt", ["yes", "strict"])
def test_a_certificate_of_another_name_is_refused_unless_that_name_is_given(encrypt: str, signed: Signed, tmp_path: Path) -> None:
    tap = Tap(signed.server, tmp_path, {"host": "localhost", "server_certificate": str(signed.authority), "encrypt": encrypt})
    refused = tap.run(streams=STREAM)
    assert refused.code == 3
    assert "the server's certificate was issued for another name" in refused.said
    assert "TAP_MSSQL_HOST_NAME_IN_CERTIFICATE" in refused.said
    assert tls(parse(tap.config())).status == "failed"
    good(tap.run(streams=STREAM, host_name_in_certificate=NAME))
    assert tls(parse(tap.config(host_name_in_certificate=NAME))).status == "ok"


def test_a_name_beside_the_one_of_the_host_is_allowed_not_asked_for(signed: Signed, tmp_path: Path) -> None:
    """The driver takes either; doctor says the same."""
    tap = Tap(
        signed.server, tmp_path, {"server_certificate": str(signed.authority), "host_name_in_certificate": "db.example.com"}
    )
    good(tap.run(streams=STREAM))
    assert tls(parse(tap.config())).status == "ok"
