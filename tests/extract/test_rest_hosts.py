"""tap-rest-api-msdk between hosts: credentials stay with the API; certificates, proxies and redirects are as the settings say."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from api_kit import runs
from api_kit.runs import Run, betrayed, settings, stream, traces
from api_kit.server import Api, Reply, Request, Serve
from api_kit.styles import STYLES
from api_kit.table import Table, rows
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ELSEWHERE = "127.0.0.2"
SECRET = "s3gredo/ç+&=1"
LOGINS: dict[str, dict[str, Any]] = {
    "basic": {"auth_method": "basic", "username": "ana", "password": SECRET},
    "bearer": {"auth_method": "bearer_token", "bearer_token": "t0ken-s3gredo"},
    "api key": {"auth_method": "api_key", "api_keys": {"X-API-KEY": "k3y-s3gredo"}},
    "configured header": {"headers": {"Private-Token": "h3ader-s3gredo"}},
    "configured parameter": {"params": {"key": "p4ram-s3gredo"}},
}
SECRETS = traces(SECRET, f"ana:{SECRET}") | {"t0ken-s3gredo", "k3y-s3gredo", "h3ader-s3gredo", "p4ram-s3gredo"}


def known(request: Request) -> bool:
    """Whether a request carries credentials."""
    return bool(betrayed(request.text, SECRETS))


def behind(serve: Serve) -> Serve:
    """The API, for those only who bring their credentials."""
    return lambda request: serve(request) if known(request) else Reply({"message": "who are you?"}, 401)


def moved(status: int, to: str, serve: Serve, without: str = "") -> Serve:
    """Sends everybody to another path, on the same host or elsewhere; a parameter is left out of the address there."""

    def answer(request: Request) -> Reply:
        if request.path != "/things":
            return serve(request)
        kept = urlencode({name: value for name, value in request.query.items() if name != without})
        return Reply(b"", status, {"Location": f"{to}?{kept}"})

    return answer


@pytest.mark.parametrize(("how", "status"), list(zip(LOGINS, (301, 302, 303, 307, 308), strict=True)))
def test_a_redirect_on_the_same_host_keeps_the_credentials(how: str, status: int, tmp_path: Path) -> None:
    held = Table(rows(25))
    with Api(behind(moved(status, "/moved", STYLES["offset"].serve(held)))) as api:
        run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", **LOGINS[how]))
    runs.bounded(run)
    runs.whole(run, *held.states)


@pytest.mark.parametrize("how", LOGINS)
@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_to_another_host_carries_no_credential(how: str, status: int, tmp_path: Path) -> None:
    held = Table(rows(25))
    honest = STYLES["offset"].serve(held)
    with Api(honest, host=ELSEWHERE) as other:
        first = moved(status, f"{other.url}/moved", honest, without="key")
        with Api(first) as api:
            run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", **LOGINS[how]))
    runs.bounded(run)
    honestly(run, held, ELSEWHERE)
    assert not [request.text for request in other.requests if betrayed(request.text, SECRETS)]
    assert all(known(request) for request in api.requests), "the API itself is always told"


def honestly(run: Run, held: Table, *words: str) -> None:
    """Complete, or refused in these words."""
    if run.code == runs.ENDED:
        runs.whole(run, *held.states, total=run.document()["source_rows"] is not None)
    else:
        runs.refused(run, *words)


@pytest.mark.parametrize("port", ["another host", "another port"])
def test_a_redirect_with_another_port_is_another_host(port: str, tmp_path: Path) -> None:
    held = Table(rows(25))
    honest = STYLES["offset"].serve(held)
    host = ELSEWHERE if port == "another host" else "127.0.0.1"
    with Api(honest, host=host) as other, Api(moved(302, f"{other.url}/moved", honest)) as api:
        run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", **LOGINS["api key"]))
    runs.bounded(run)
    honestly(run, held, str(other.port))
    assert not [request.text for request in other.requests if betrayed(request.text, SECRETS)]


LINKS = {"header_link": "Link", "hateoas": "links"}


@pytest.mark.parametrize("how", ["basic", "api key", "configured header", "configured parameter"])
@pytest.mark.parametrize("style", LINKS)
def test_a_next_link_to_another_host_carries_no_credential(style: str, how: str, tmp_path: Path) -> None:
    """Where the next page is said to be elsewhere: read there without credentials, asked of the API itself, or refused."""
    held = Table(rows(25))
    honest = STYLES[style].serve(held, total=False)
    with Api(honest, host=ELSEWHERE) as other:

        def lured(request: Request) -> Reply:
            reply = honest(request)
            own, foreign = f"http://{request.headers['host']}", other.url
            if style == "header_link":
                return reply.but(headers={name: value.replace(own, foreign) for name, value in reply.headers.items()})
            links = {name: value.replace(own, foreign) for name, value in reply.content["links"].items()}
            return reply.but({**reply.content, "links": links})

        with Api(lured) as api:
            config = settings(api.url, tmp_path / "spool", style=style, total_path=None, **LOGINS[how])
            run = runs.run(tmp_path, config)
    runs.bounded(run)
    honestly(run, held, ELSEWHERE)
    assert not [request.text for request in other.requests if betrayed(request.text, SECRETS)]


@pytest.mark.parametrize("how", LOGINS)
def test_a_refused_login_is_told_at_once_by_the_settings_of_its_method(how: str, tmp_path: Path) -> None:
    named = {
        "basic": ("username|API_USER", "password|API_PASSWORD"),
        "bearer": ("bearer_token",),
        "api key": ("api_keys",),
        "configured header": ("headers", "auth_method"),
        "configured parameter": ("params|headers", "auth_method"),
    }
    with Api(lambda request: Reply({"message": "not you"}, 401)) as api:
        run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", **LOGINS[how]))
    runs.bounded(run, seconds=10)
    runs.refused(run, "401", "not you", *named[how])
    if how != "basic":
        assert "API_USER" not in run.log
    assert len(api.requests) <= 2
    assert not betrayed(run.left(), SECRETS)


@dataclass(frozen=True)
class Certified:
    """A server's TLS context, and the PEM file of the authority that signed its certificate."""

    context: ssl.SSLContext
    authority: Path


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certified:
    folder = tmp_path_factory.mktemp("tls")
    above, below = (rsa.generate_private_key(public_exponent=65_537, key_size=2_048) for _ in range(2))
    authority, own, key = folder / "authority.pem", folder / "own.pem", folder / "key.pem"
    authority.write_bytes(_certificate("Authority", above, above, signs=True))
    own.write_bytes(_certificate("Server", below, above, signs=False))
    kind = serialization.PrivateFormat.PKCS8
    key.write_bytes(below.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, key)
    return Certified(context, authority)


def _certificate(name: str, key: rsa.RSAPrivateKey, by: rsa.RSAPrivateKey, signs: bool) -> bytes:
    """PEM, valid for some days, for 127.0.0.1."""
    now = dt.datetime.now(dt.UTC)
    subject, issuer = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, n)]) for n in (name, "Authority"))
    usage = x509.KeyUsage(not signs, False, False, False, False, signs, signs, False, False)
    built = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=signs, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    return built.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def over_tls(certified: Certified) -> Iterator[tuple[Api, Table]]:
    held = Table(rows(25))
    with Api(STYLES["offset"].serve(held), tls=certified.context) as api:
        yield api, held


def test_an_unknown_authority_is_refused_by_the_name_of_the_setting(over_tls: tuple[Api, Table], tmp_path: Path) -> None:
    run = runs.run(tmp_path, settings(over_tls[0].url, tmp_path / "spool"))
    runs.bounded(run)
    runs.refused(run, "certificate", "ca_file")
    assert not over_tls[0].requests


def test_ca_file_trusts_an_authority(over_tls: tuple[Api, Table], certified: Certified, tmp_path: Path) -> None:
    api, held = over_tls
    run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", ca_file=str(certified.authority)))
    runs.bounded(run)
    runs.whole(run, *held.states)


def test_ssl_cert_file_trusts_an_authority(over_tls: tuple[Api, Table], certified: Certified, tmp_path: Path) -> None:
    api, held = over_tls
    run = runs.run(tmp_path, settings(api.url, tmp_path / "spool"), env={"SSL_CERT_FILE": str(certified.authority)})
    runs.bounded(run)
    runs.whole(run, *held.states)


def test_a_ca_file_that_is_not_there_is_a_wrong_configuration(tmp_path: Path) -> None:
    run = runs.run(tmp_path, settings("https://127.0.0.1:9", tmp_path / "spool", ca_file=str(tmp_path / "none.pem")))
    runs.bounded(run)
    runs.refused(run, "ca_file", code=2)


def proxied(held: Table) -> Serve:
    """A proxy that speaks for an API which only it can reach."""
    honest = STYLES["offset"].serve(held)

    def answer(request: Request) -> Reply:
        return honest(request) if request.target.startswith("http://api.example.com/") else Reply({}, 400)

    return answer


def test_proxy_is_asked_in_place_of_the_api(tmp_path: Path) -> None:
    held = Table(rows(25))
    with Api(proxied(held)) as proxy:
        config = settings("http://api.example.com", tmp_path / "spool", proxy=proxy.url, **LOGINS["basic"])
        run = runs.run(tmp_path, config)
    runs.bounded(run)
    runs.whole(run, *held.states)


def test_a_proxy_that_is_down_is_told_without_its_password(tmp_path: Path) -> None:
    config = settings("http://api.example.com", tmp_path / "spool", proxy="http://ana:pr0xy-s3gredo@127.0.0.1:9")
    run = runs.run(tmp_path, config, env={"LOGLEVEL": "DEBUG"})
    runs.bounded(run)
    runs.refused(run, "proxy", "127.0.0.1:9")
    assert not betrayed(run.left(), traces("pr0xy-s3gredo", "ana:pr0xy-s3gredo"))


def test_the_proxy_of_the_environment_is_used(tmp_path: Path) -> None:
    held = Table(rows(25))
    with Api(proxied(held)) as proxy:
        config = settings("http://api.example.com", tmp_path / "spool")
        run = runs.run(tmp_path, config, env={"http_proxy": proxy.url, "HTTP_PROXY": proxy.url})
    runs.bounded(run)
    runs.whole(run, *held.states)


def test_streams_of_one_api_share_connections(tmp_path: Path) -> None:
    """A run of many pages opens a few connections, not one for each page."""
    held = Table(rows(400))
    ports: set[int] = set()
    with Api(STYLES["offset"].serve(held)) as api:
        config = settings(api.url, tmp_path / "spool", stream(), stream(name="others"))
        run = runs.run(tmp_path, config)
        ports = api.ports
    runs.bounded(run)
    assert run.code == runs.ENDED, run.log
    assert len(api.requests) >= 80
    assert len(ports) <= 17  # as many as pages at once, and one
