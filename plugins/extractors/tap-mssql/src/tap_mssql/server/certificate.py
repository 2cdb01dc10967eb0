"""What a certificate file is good for: to be trusted as an authority, or to be compared with the server's own."""

from __future__ import annotations

from pathlib import Path


def holds_authority(file: Path) -> bool:
    """Whether the PEM file has a certificate that may sign others, or signed itself as an authority; False for no PEM file.

    The driver trusts authorities through OpenSSL (SSL_CERT_FILE); its keyword ServerCertificate, which it takes with
    Encrypt=strict only, is compared byte by byte with the certificate that the server shows.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(file)
    except (ssl.SSLError, OSError):
        return False
    return bool(context.get_ca_certs())
