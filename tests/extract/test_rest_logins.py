"""Every way to log in of tap-rest-api-msdk, beside the published tap 1.4.2: the server opens only to whom it knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from api_kit import runs
from api_kit.beside import AS_PUBLISHED, PLAIN, ours, published, same_records
from api_kit.runs import settings, stream
from api_kit.server import Api, Reply, Request
from api_kit.styles import STYLES
from api_kit.table import Table, rows
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

Knows = Callable[[Request], bool]


@dataclass(frozen=True)
class Login:
    """Settings, and whether a request bears what they say; `tokens` are what the token endpoint wants in its form."""

    settings: dict[str, Any]
    knows: Knows
    form: dict[str, str] = field(default_factory=dict)


AWS = {
    "aws_access_key_id": "AKIDEXAMPLE",
    "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    "aws_region": "us-east-1",
    "aws_service": "es",
}


def signed(request: Request, session: str | None = None) -> bool:
    """Whether botocore comes to the same signature (AWS Signature Version 4)."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme != "AWS4-HMAC-SHA256":
        return False
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    names = parts["SignedHeaders"].split(";")
    if not {"host", "x-amz-date"} <= {*names} or (session and request.headers.get("x-amz-security-token") != session):
        return False
    url = f"http://{request.headers['host']}{request.target}"
    query = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    again = AWSRequest(
        request.method,
        url.partition("?")[0],
        {name: request.headers[name] for name in names if name != "host"},
        request.body,
        query,
    )
    again.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(AWS["aws_access_key_id"], AWS["aws_secret_access_key"]), AWS["aws_service"], AWS["aws_region"])
    text = signer.string_to_sign(again, signer.canonical_request(again))
    return bool(signer.signature(text, again) == parts["Signature"])


def bearing(header: str, value: str) -> Knows:
    return lambda request: request.headers.get(header) == value


BACK = "https://example.com/back"
OAUTH = {"auth_method": "oauth", "scope": "read", "redirect_uri": BACK, "oauth_extras": {"resource": "https://api.example.com"}}
SCOPED = {"scope": "read", "redirect_uri": BACK, "resource": "https://api.example.com"}
TOKEN = bearing("authorization", "Bearer token-1")
LOGINS: dict[str, Login] = {
    "no_auth": Login({"headers": {"X-Own": "1"}, "user_agent": "probe/1"}, bearing("user-agent", "probe/1")),
    "basic": Login(
        {"auth_method": "basic", "username": "ana", "password": "s:e nha"}, bearing("authorization", "Basic YW5hOnM6ZSBuaGE=")
    ),
    "bearer_token": Login({"auth_method": "bearer_token", "bearer_token": "abc"}, bearing("authorization", "Bearer abc")),
    "api_key": Login({"auth_method": "api_key", "api_keys": {"X-API-KEY": "abc"}}, bearing("x-api-key", "abc")),
    "oauth client credentials": Login(
        {**OAUTH, "grant_type": "client_credentials", "client_id": "c", "client_secret": "s"},
        TOKEN,
        {**SCOPED, "grant_type": "client_credentials", "client_id": "c", "client_secret": "s"},
    ),
    "oauth password": Login(
        {**OAUTH, "grant_type": "password", "username": "ana", "password": "s:e nha"},
        TOKEN,
        {**SCOPED, "grant_type": "password", "username": "ana", "password": "s:e nha"},
    ),
    "oauth refresh token": Login(
        {**OAUTH, "grant_type": "refresh_token", "refresh_token": "r", "client_id": "c", "client_secret": "s"},
        TOKEN,
        {**SCOPED, "grant_type": "refresh_token", "refresh_token": "r", "client_id": "c", "client_secret": "s"},
    ),
    "aws": Login({"auth_method": "aws", "aws_credentials": AWS}, signed),
}


class Guard:
    """An API behind a login, with its token endpoint at /token; counts the tokens it gave, each good for `lives` requests."""

    def __init__(self, login: Login, count: int = 35, lives: int = 10**6, **answer: Any) -> None:
        self.login, self.lives, self.answer = login, lives, answer
        self.honest = STYLES["offset"].serve(Table(rows(count)))
        self.given = self.used = 0
        self.forms: list[dict[str, str]] = []

    def __call__(self, request: Request) -> Reply:
        if request.path == "/token":
            self.forms.append(dict(parse_qsl(request.body.decode())))
            if request.method != "POST" or not self.login.form.items() <= self.forms[-1].items():
                return Reply({"error": "invalid_grant"}, 400)
            self.given += 1
            self.used = 0
            return Reply({"access_token": f"token-{self.given}", "token_type": "Bearer", **self.answer})
        self.used += 1
        token = f"Bearer token-{self.given}"
        known = request.headers.get("authorization") == token if self.login.form else self.login.knows(request)
        if not known or self.used > self.lives:
            return Reply({"message": "who are you?"}, 401)
        return self.honest(request)


def entered(login: Login, api: Api) -> dict[str, Any]:
    """The login's settings, with the token endpoint of this server where it needs one."""
    return {**login.settings, **({"access_token_url": f"{api.url}/token"} if login.form else {})}


@pytest.mark.parametrize("how", LOGINS)
def test_a_login_opens_the_api_as_it_does_for_the_published_tap(how: str, tmp_path: Path) -> None:
    things = stream(schema={"type": "object", "properties": PLAIN})
    login = LOGINS[how]
    guard = Guard(login)
    with Api(guard) as api:
        config = settings(api.url, None, things, **{**AS_PUBLISHED, "next_page_token_path": "$"}, **entered(login, api))
        left = ours(tmp_path, config)
        assert left.code == 0, left.log
        assert guard.given == (1 if login.form else 0)
        right = published(tmp_path, config)
    same_records(left, right)
    assert len(left.records()) == 35


@pytest.mark.parametrize("how", LOGINS)
def test_a_login_opens_the_api_for_parts(how: str, tmp_path: Path) -> None:
    login = LOGINS[how]
    with Api(Guard(login)) as api:
        run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", **entered(login, api)))
    runs.bounded(run)
    runs.whole(run, rows(35))


def test_a_session_token_is_sent_and_signed(tmp_path: Path) -> None:
    aws = {**AWS, "aws_session_token": "session"}
    login = Login({"auth_method": "aws", "aws_credentials": aws}, lambda request: signed(request, "session"))
    with Api(Guard(login)) as api:
        run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", **login.settings))
    runs.bounded(run)
    runs.whole(run, rows(35))


def test_the_credentials_of_a_profile_sign_and_one_that_has_none_is_a_wrong_configuration(tmp_path: Path) -> None:
    files = {
        "AWS_SHARED_CREDENTIALS_FILE": "[ana]\naws_access_key_id = {aws_access_key_id}\n"
        "aws_secret_access_key = {aws_secret_access_key}\n",
        "AWS_CONFIG_FILE": "[profile ana]\nregion = {aws_region}\n[profile bare]\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content.format(**AWS))
    env = {**{name: str(tmp_path / name) for name in files}, "AWS_EC2_METADATA_DISABLED": "true"}
    told = {"bare": "the profile bare has no credentials and no region", "nobody": r"profile \(nobody\) could not be found"}
    with Api(Guard(LOGINS["aws"])) as api:
        for profile in ("ana", *told):
            login = {"auth_method": "aws", "aws_credentials": {"aws_profile": profile, "aws_service": AWS["aws_service"]}}
            run = runs.run(tmp_path / profile, settings(api.url, tmp_path / profile / "spool", **login), env=env)
            runs.bounded(run)
            if profile == "ana":
                runs.whole(run, rows(35))
            else:
                runs.refused(run, "the configuration of tap-rest-api-msdk has 1 problem", told[profile], code=2)


def test_what_is_signed_holds_odd_parameters_too(tmp_path: Path) -> None:
    login = LOGINS["aws"]
    odd = {"q": "a b&c=d/ç~*'()", "empty": "", "Z": "1", "a": "2"}
    with Api(Guard(login)) as api:
        run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", params=odd, **login.settings))
    runs.bounded(run)
    runs.whole(run, rows(35))
    assert all(odd.items() <= request.query.items() for request in api.requests)


@pytest.mark.parametrize("how", [how for how in LOGINS if how.startswith("oauth")])
def test_a_token_that_is_refused_is_renewed_once(how: str, tmp_path: Path) -> None:
    login = LOGINS[how]
    guard = Guard(login, count=100, lives=6)
    with Api(guard) as api:
        run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", max_parallel_pages=1, **entered(login, api)))
    runs.bounded(run)
    runs.whole(run, rows(100))
    assert 2 <= guard.given <= 4


def test_a_token_that_is_refused_again_ends_the_run_and_names_the_settings(tmp_path: Path) -> None:
    login = LOGINS["oauth client credentials"]
    guard = Guard(login, lives=0)
    with Api(guard) as api:
        run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", **entered(login, api)))
    runs.bounded(run, seconds=10)
    runs.refused(run, "401", "client_id|client_secret")
    assert guard.given == 2
    assert len(api.requests) <= 6


@pytest.mark.parametrize("told", ["expires_in", "oauth_expiration_secs"])
def test_a_token_is_renewed_before_it_expires(told: str, tmp_path: Path) -> None:
    """Each answer takes a while, and tokens live shorter than the run."""
    login = LOGINS["oauth client credentials"]
    guard = Guard(login, count=100, **({"expires_in": 1} if told == "expires_in" else {}))
    more = {"oauth_expiration_secs": 1} if told != "expires_in" else {}

    def slowly(request: Request) -> Reply:
        reply = guard(request)
        if request.path == "/token":
            return reply

        def send(wire: Any) -> None:
            wire.hang(0.25)
            wire.send(reply.head(Connection="close") + reply.body)

        return reply.but(raw=send)

    with Api(slowly) as api:
        config = settings(api.url, tmp_path / "spool", max_parallel_pages=1, **more, **entered(login, api))
        run = runs.run(tmp_path, config)
    runs.bounded(run)
    runs.whole(run, rows(100))
    assert guard.given >= 2
    assert not [request for request in api.requests if request.headers.get("authorization") == "Bearer token-0"]


def test_all_streams_share_one_token(tmp_path: Path) -> None:
    login = LOGINS["oauth client credentials"]
    guard = Guard(login)
    with Api(guard) as api:
        streams = [stream(name=name) for name in ("a", "b", "c")]
        run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", *streams, **entered(login, api)))
    runs.bounded(run)
    assert run.code == 0, run.log
    assert guard.given == 1
