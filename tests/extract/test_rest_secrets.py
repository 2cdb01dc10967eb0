"""No secret of tap-rest-api-msdk is in a log at any level, an error, a dead letter, a load document or the state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from api_kit import runs, wire
from api_kit.runs import Run, betrayed, settings, stream, traces
from api_kit.server import Api, Reply, Request
from api_kit.styles import STYLES
from api_kit.table import Table, rows

HARD = "s3gredo/ç+&=1 %"  # what URLs and JSON write otherwise
PLAIN = "sup3r-s3gredo"
TOKEN = "acc3ss-s3gredo"  # which the login server gives


@dataclass(frozen=True)
class Login:
    """Settings that hold secrets, and what would betray them."""

    settings: dict[str, Any]
    traces: set[str]


LOGINS = {
    "basic": Login({"auth_method": "basic", "username": "ana", "password": HARD}, traces(HARD, f"ana:{HARD}")),
    "bearer": Login({"auth_method": "bearer_token", "bearer_token": PLAIN}, traces(PLAIN)),
    "api key": Login({"auth_method": "api_key", "api_keys": {"X-API-KEY": PLAIN}}, traces(PLAIN)),
    "api key in the query": Login({"params": {"api_key": HARD}}, traces(HARD)),
    "configured header": Login({"headers": {"Private-Token": PLAIN}}, traces(PLAIN)),
    "client credentials": Login(
        {"auth_method": "oauth", "grant_type": "client_credentials", "client_id": "c1", "client_secret": HARD},
        traces(HARD),
    ),
    "oauth password": Login(
        {"auth_method": "oauth", "grant_type": "password", "username": "ana", "password": HARD},
        traces(HARD),
    ),
    "refresh token": Login(
        {
            "auth_method": "oauth",
            "grant_type": "refresh_token",
            "client_id": "c1",
            "client_secret": PLAIN,
            "refresh_token": HARD,
            "oauth_extras": {"pin": "p1n-s3gredo"},
        },
        traces(HARD) | traces(PLAIN) | {"p1n-s3gredo"},
    ),
    "aws": Login(
        {
            "auth_method": "aws",
            "aws_credentials": {
                "aws_access_key_id": "AKIDEXAMPLE",
                "aws_secret_access_key": PLAIN,
                "aws_session_token": "s3ssion-s3gredo",
                "aws_region": "us-east-1",
                "aws_service": "es",
            },
        },
        traces(PLAIN) | {"s3ssion-s3gredo"},
    ),
}
DEBUG = {"LOGLEVEL": "DEBUG", "TAP_REST_API_MSDK_LOGLEVEL": "DEBUG"}
PATHS = ("fine", "echo400", "echo404", "echo503", "echo200", "html", "drift", "cut", "moved", "slow", "error", "echo401")


class Parrot:
    """An API that says back all that it is told: each path in another way."""

    def __init__(self, login: Login) -> None:
        self.secrets = " ".join(sorted(login.traces))
        if login.settings.get("auth_method") == "oauth":
            self.secrets += f" {TOKEN}"
        self.honest = STYLES["offset"].serve(Table(rows(25)))

    def __call__(self, request: Request) -> Reply:
        said = f"you said {request.text} with {self.secrets}"
        path = request.path.strip("/")
        page = self.honest(request)
        match path:
            case "token":
                return Reply({"access_token": TOKEN, "expires_in": 3600})
            case "echo400" | "echo401" | "echo404" | "echo503":
                return Reply({"message": said}, int(path.removeprefix("echo")))
            case "echo200":
                return Reply(b'{"data": [{"name": "' + said.encode())
            case "html":
                return Reply(f"<html><p>{said}</p></html>".encode())
            case "drift":
                return page.but({**page.content, "data": [{**record, "price": "none"} for record in page.content["data"]]})
            case "cut":
                return wire.cut(page)
            case "moved":
                return Reply(b"", 302, {"Location": f"http://127.0.0.2:9/elsewhere?{request.target.partition('?')[2]}"})
            case "slow":
                return wire.silence(page)
            case "error":
                return page.but({"data": [], "error": said})
        return page


def everything(login: Login, folder: Path, batch: bool, *options: str, paths: tuple[str, ...] = PATHS) -> Run:
    """A run at the lowest log level in which each stream meets another trouble."""
    folder.mkdir(parents=True, exist_ok=True)
    with Api(Parrot(login)) as api:
        more = {"access_token_url": f"{api.url}/token"} if login.settings.get("auth_method") == "oauth" else {}
        config = settings(
            api.url,
            folder / "spool" if batch else None,
            *(stream(name=path, path=f"/{path}") for path in paths),
            **{**login.settings, **more, "backoff_max_seconds": 0.5, "request_timeout_seconds": 1},
        )
        return runs.run(folder, config, *options, env={**DEBUG, "LIGHTHOUSE_EXITS": str(folder / "exits.txt")})


OUTPUTS = [(how, True) for how in LOGINS]
OUTPUTS += [(how, False) for how in ("basic", "api key in the query", "client credentials", "aws")]


@pytest.mark.parametrize(("how", "batch"), OUTPUTS)
def test_no_secret_is_told_whatever_goes_wrong(how: str, batch: bool, tmp_path: Path) -> None:
    login = LOGINS[how]
    run = everything(login, tmp_path, batch)
    runs.bounded(run, seconds=40)
    assert run.code == runs.REFUSED, run.log[-3000:]
    if batch:
        assert len(run.staged("fine")) == 25
        for path in PATHS[1:]:
            assert path in run.log
    assert not betrayed(run.left(), login.traces | {TOKEN})


@pytest.mark.parametrize("how", LOGINS)
def test_no_secret_is_told_where_the_login_is_refused(how: str, tmp_path: Path) -> None:
    login = LOGINS[how]
    run = everything(login, tmp_path, True, paths=("echo401",))
    runs.bounded(run)
    runs.refused(run, "401")
    assert not betrayed(run.left(), login.traces | {TOKEN})


@pytest.mark.parametrize("how", ["api key in the query", "basic", "client credentials"])
def test_no_secret_is_told_where_nobody_answers(how: str, tmp_path: Path) -> None:
    login = LOGINS[how]
    config = settings(
        "http://127.0.0.1:9", tmp_path / "spool",
        **{**login.settings, "access_token_url": "http://127.0.0.1:9/token", "backoff_max_seconds": 0.5},
    )  # fmt: skip
    run = runs.run(tmp_path, config, env=DEBUG)
    runs.bounded(run)
    runs.refused(run, "127.0.0.1:9")
    assert not betrayed(run.left(), login.traces | {TOKEN})


@pytest.mark.parametrize("how", ["client credentials", "oauth password", "refresh token"])
def test_no_secret_is_told_where_no_token_is_given(how: str, tmp_path: Path) -> None:
    login = LOGINS[how]
    known = login.traces - {"acc3ss-s3gredo"}  # a token that nobody was given is no secret yet

    def refusing(request: Request) -> Reply:
        return Reply({"error": "invalid_client", "error_description": f"{request.text} {' '.join(known)}"}, 401)

    with Api(refusing) as api:
        config = settings(api.url, tmp_path / "spool", **login.settings, access_token_url=f"{api.url}/token")
        run = runs.run(tmp_path, config, env=DEBUG)
    runs.bounded(run)
    runs.refused(run, "invalid_client")
    assert not betrayed(run.left(), login.traces | {TOKEN})
    assert len(api.requests) <= 4


@pytest.mark.parametrize("how", ["api key in the query", "api key"])
def test_no_secret_is_in_a_dead_letter_a_document_or_the_state(how: str, tmp_path: Path) -> None:
    login = LOGINS[how]
    held = Table([{**row, "price": "none"} if row["id"] == 7 else row for row in rows(25)])
    with Api(STYLES["offset"].serve(held)) as api:
        config = settings(api.url, tmp_path / "spool", stream(replication_key="at"), **login.settings, max_dead_letters=1)
        run = runs.run(tmp_path, config, env=DEBUG)
    runs.bounded(run)
    assert run.code == runs.ENDED, run.log
    assert list(tmp_path.rglob("_dead_letters/*.jsonl"))
    assert run.messages[-1]["type"] == "STATE"
    assert not betrayed(run.left(), login.traces | {TOKEN})


@pytest.mark.parametrize("option", ["--discover", "--check", "--about"])
def test_no_secret_is_told_by_other_commands(option: str, tmp_path: Path) -> None:
    for number, login in enumerate(LOGINS.values()):
        if option != "--discover" and number % 4:
            continue
        folder = tmp_path / str(number)
        config = settings("http://127.0.0.1:9", folder / "spool", **login.settings)
        run = runs.run(folder, config, option, env=DEBUG)
        assert not betrayed(run.left(), login.traces | {TOKEN})


@pytest.mark.parametrize("how", LOGINS)
def test_no_secret_is_told_by_a_refused_configuration(how: str, tmp_path: Path) -> None:
    login = LOGINS[how]
    config = settings("ftp://nowhere", tmp_path / "spool", **login.settings, pagination_page_size="many", pasword=PLAIN)
    run = runs.run(tmp_path, config, env=DEBUG)
    runs.bounded(run)
    runs.refused(run, "api_url", "pagination_page_size", "pasword", code=2)
    assert not betrayed(run.left(), login.traces | {PLAIN})


def test_an_address_with_a_password_in_it_is_refused_without_showing_it(tmp_path: Path) -> None:
    run = runs.run(tmp_path, settings(f"https://ana:{PLAIN}@api.example.com", tmp_path / "spool"), env=DEBUG)
    runs.refused(run, "api_url", code=2)
    assert not betrayed(run.left(), traces(PLAIN, f"ana:{PLAIN}"))
