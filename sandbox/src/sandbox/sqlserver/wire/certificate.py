"""The server's certificate: self-signed, for localhost and 127.0.0.1, made once and stored beside the data."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_YEARS = dt.timedelta(days=3_650)


def make(folder: Path) -> tuple[Path, Path]:
    """Certificate and key (mode 0600) in the folder, made when missing; the certificate is its own CA."""
    certificate_file, key_file = folder / "ca.pem", folder / "key.pem"
    if certificate_file.exists() and key_file.exists():
        return certificate_file, key_file
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("127.0.0.1")]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + _YEARS)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(private)
    certificate_file.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    return certificate_file, key_file


def context(certificate_file: Path, key_file: Path) -> ssl.SSLContext:
    """TLS 1.2 as inside TDS 7.4: a 1.3 ticket after the handshake would have no place in its framing."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_alpn_protocols(["tds/8.0"])
    made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_TICKET
    made.load_cert_chain(certificate_file, key_file)
    return made
