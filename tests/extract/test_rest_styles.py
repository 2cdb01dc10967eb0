"""Every paging style, response style and way to log in of tap-rest-api-msdk, beside the published tap 1.4.2 where that works.

One server speaks them all. Where the published tap fails (both styles of link headers, and hateoas), the style does what its
README says.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from api_kit import runs
from api_kit.forks import MB, Forks
from api_kit.runs import PUBLISHED, Run, settings, stream
from api_kit.server import Api, Reply, Request, Serve
from api_kit.styles import PAGE, STYLES
from api_kit.table import Row, Table, rows
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tap_rest_api_msdk import config as tap_config

OF_THE_SDK = {
    "stream_maps", "stream_map_config", "faker_config", "flattening_enabled", "flattening_max_depth", "batch_config",
}  # fmt: skip
FAIL_WHEN_PUBLISHED = {"header_link", "restapi_header_link", "hateoas"}
OWN = ("total_path", "batch_config", "request_timeout_seconds", "backoff_max_seconds", "throttle_max_seconds")
AS_PUBLISHED = dict.fromkeys(OWN)  # settings that only this project's tap has
PLAIN = {
    "id": {"type": ["integer"]},
    "name": {"type": ["string"]},
    "price": {"type": ["number", "null"]},
    "at": {"type": ["string"]},
}


def ours(folder: Path, config: Mapping[str, Any], **more: Any) -> Run:
    return runs.run(folder / "ours", config, **more)


def published(folder: Path, config: Mapping[str, Any], **more: Any) -> Run:
    """A run of the published tap. Its exit code is 0 wherever it reached the end."""
    assert PUBLISHED.exists(), "the published tap is not installed; type: scripts/setup published"
    return runs.run(folder / "published", config, command=[str(PUBLISHED)], **more)


def same_records(left: Run, right: Run, name: str = "things") -> None:
    """Both sent the same records in the same order; numbers by their value."""
    assert left.code == right.code == 0, f"{left.log[-2000:]}\n{right.log[-2000:]}"
    assert [plain(record) for record in left.records(name)] == [plain(record) for record in right.records(name)]


def plain(value: Any) -> Any:
    """A value of a message, in which notation makes no difference: numbers by value, JSON texts by what they hold."""
    match value:
        case dict():
            return {key: plain(inner) for key, inner in value.items()}
        case list():
            return [plain(inner) for inner in value]
        case str() if value[:1] in ("{", "["):
            return plain(json.loads(value, parse_float=Decimal))
        case bool() | None:
            return value
        case int() | float() | Decimal():
            return Decimal(str(value)).normalize()
    return value


def titles(*without: str) -> list[str]:
    return [name for name in STYLES if name not in without]


@pytest.mark.parametrize("name", STYLES)
def test_a_style_reads_every_record_into_parts(name: str, tmp_path: Path, forks: Forks) -> None:
    held, style = Table(rows(35)), STYLES[name]
    with Api(style.serve(held)) as api:
        run = forks.run(tmp_path, settings(api.url, tmp_path / "spool", style=name, total_path=total_of(name)))
    runs.bounded(run, mb=MB)
    runs.whole(run, *held.states, total=total_of(name) is not None)


def total_of(name: str) -> str | None:
    """Where the total is; a bare list has none."""
    return None if name == "restapi_header_link" else "$.total"


ENDS = [(name, count) for name in STYLES for count in (0, PAGE)]
ENDS += [
    (name, count) for name in ("offset", "page_number", "jsonpath", "header_link") for count in (1, PAGE - 1, PAGE + 1, 3 * PAGE)
]


@pytest.mark.parametrize(("name", "count"), ENDS)
def test_a_style_ends_where_the_records_end_without_a_total(name: str, count: int, tmp_path: Path, forks: Forks) -> None:
    held = Table(rows(count))
    with Api(STYLES[name].serve(held, total=False)) as api:
        run = forks.run(tmp_path, settings(api.url, tmp_path / "spool", style=name, total_path=None))
    runs.bounded(run, mb=MB)
    runs.whole(run, *held.states, total=False)
    assert len(api.requests) <= count // PAGE + 3


@pytest.mark.parametrize("name", titles(*FAIL_WHEN_PUBLISHED))
def test_a_style_sends_the_records_that_the_published_tap_sends(name: str, tmp_path: Path) -> None:
    more = {"next_page_token_path": "$"} if name in ("offset", "style1") else {}
    things = stream(schema={"type": "object", "properties": PLAIN})
    with Api(STYLES[name].serve(Table(rows(35)))) as api:
        config = settings(api.url, None, things, style=name, **{**AS_PUBLISHED, **more})
        left, right = ours(tmp_path, config), published(tmp_path, config)
    same_records(left, right)
    assert len(left.records()) == 35


@pytest.mark.parametrize("name", sorted(FAIL_WHEN_PUBLISHED))
def test_where_the_published_tap_fails_the_style_does_what_its_readme_says(name: str, tmp_path: Path) -> None:
    held = Table(rows(35))
    things = stream(schema={"type": "object", "properties": PLAIN})
    with Api(STYLES[name].serve(held), budget=200) as api:
        config = settings(api.url, None, things, style=name, **AS_PUBLISHED)
        left = ours(tmp_path, config)
        asked = len(api.requests)
        right = published(tmp_path, config, seconds=20)
    assert left.code == 0, left.log
    assert [plain(record) for record in left.records()] == [plain(record) for record in held.rows]
    assert asked == 4
    assert right.code != 0 or len(right.records()) != 35, "the published tap works now: compare with it"


def test_the_defaults_are_the_published_ones(tmp_path: Path) -> None:
    """No paging setting at all: `$[*]`, `$.next_page`, `page`."""
    held = Table(rows(35))

    def bare(request: Request) -> Reply:
        return Reply(held.rows, start=0)

    things = stream(schema={"type": "object", "properties": PLAIN})
    with Api(bare) as api:
        config = {"api_url": api.url, "streams": [things]}
        left, right = ours(tmp_path, config), published(tmp_path, config)
    same_records(left, right)
    assert len(left.records()) == 35


def test_every_setting_of_the_published_tap_is_declared_and_has_its_default(tmp_path: Path) -> None:
    """Both taps say themselves what they take; meltano.yml declares it, but for what Meltano declares by itself."""
    about = {
        name: json.loads(
            subprocess.run([program, "--about", "--format=json"], capture_output=True, check=True, cwd=tmp_path).stdout
        )["settings"]["properties"]
        for name, program in {"published": str(PUBLISHED), "ours": runs.tap()}.items()
    }
    own = {name for name in about["published"] if name not in OF_THE_SDK}
    assert len(own) == 43
    assert own <= about["ours"].keys()
    plugins = yaml.safe_load((runs.ROOT / "meltano.yml").read_text())["plugins"]["extractors"]
    [ours] = [plugin for plugin in plugins if plugin["name"] == "tap-rest-api-msdk"]
    assert own <= {setting["name"] for setting in ours["settings"]}
    defaults = {name: about["published"][name]["default"] for name in own if about["published"][name].get("default") is not None}
    bare = {"api_url": "http://127.0.0.1", "streams": [stream()]}
    stated = bare | {name: value for name, value in defaults.items() if name != "pagination_initial_offset"}  # see below
    assert len(defaults) == 12
    assert tap_config.parse(stated).streams == tap_config.parse(bare).streams
    assert tap_config.parse(stated).patience == tap_config.parse(bare).patience


def test_the_first_offset_is_1_unless_it_is_set(tmp_path: Path) -> None:
    """As published; where that leaves a record out, the total tells, and the load is refused by the setting's name."""
    held = Table(rows(35))
    things = stream(schema={"type": "object", "properties": PLAIN})
    with Api(STYLES["offset"].serve(held)) as api:
        unset = {"pagination_initial_offset": None, "next_page_token_path": "$"}
        right = published(tmp_path, settings(api.url, None, things, **{**AS_PUBLISHED, **unset}))
        left = runs.run(tmp_path / "ours", settings(api.url, tmp_path / "ours/spool", pagination_initial_offset=None))
    assert [record["id"] for record in right.records()] == list(range(2, 36))
    runs.bounded(left)
    runs.refused(left, "pagination_initial_offset")


NESTED: list[Row] = [
    {
        "id": number,
        "address": {"city": f"cidade {number}", "geo": {"lat": number / 2, "long-name": "x"}},
        "tags": ["a", {"b": number}],
        "first.name": "Ana",
        "last-name": None,
        "ok": number % 2 == 0,
        "empty": {},
    }
    for number in range(1, 26)
]
KEPT = {"except_keys": ["address_geo"]}  # of the stream: the published tap does not look at that of the whole tap


def pages_of(held: list[Row]) -> Serve:
    def answer(request: Request) -> Reply:
        start = int(request.parameters.get("page", "from-0").removeprefix("from-"))
        behind = start + PAGE
        following = f"from-{behind}" if behind < len(held) else None
        return Reply({"data": held[start:behind], "next_page": following}, start=start)

    return answer


@pytest.mark.parametrize(
    "more",
    [{}, KEPT, {"except_keys": ["address"]}, {"store_raw_json_message": True}],
    ids=["plain", "kept at depth", "kept", "raw"],
)
def test_a_stream_without_a_schema_is_inferred_and_flattened_as_published(more: dict[str, Any], tmp_path: Path) -> None:
    things = stream(schema=None, **{name: value for name, value in more.items() if name == "except_keys"})
    with Api(pages_of(NESTED)) as api:
        config = settings(api.url, None, things, style="default", **AS_PUBLISHED, **({} if "except_keys" in more else more))
        left, right = ours(tmp_path, config), published(tmp_path, config)
    same_records(left, right)
    [ours_schema], [published_schema] = left.sent("SCHEMA"), right.sent("SCHEMA")
    assert set(ours_schema["schema"]["properties"]) == set(published_schema["schema"]["properties"])
    assert "address_city" in left.records()[0] or "address" in left.records()[0]
    assert len(left.records()) == 25


def test_an_inferred_stream_is_typed_in_parts_and_the_load_says_so(tmp_path: Path) -> None:
    with Api(pages_of(NESTED)) as api:
        config = settings(api.url, tmp_path / "spool", stream(schema=None), style="default", total_path=None)
        run = runs.run(tmp_path, config)
    runs.bounded(run)
    assert run.code == 0, run.log
    staged = runs.in_order(run.staged())
    assert [row["id"] for row in staged] == list(range(1, 26))
    assert [row["address_city"] for row in staged] == [f"cidade {number}" for number in range(1, 26)]
    assert [row["address_geo_lat"] for row in staged] == [number / 2 for number in range(1, 26)]
    assert [row["ok"] for row in staged] == [number % 2 == 0 for number in range(1, 26)]
    assert json.loads(staged[0]["tags"]) == ["a", {"b": 1}]
    assert any("infer" in note for note in run.document()["notes"]), run.document()["notes"]


def test_num_inference_records_bounds_what_the_schema_is_made_of(tmp_path: Path) -> None:
    """A field that comes later than that is drift: it becomes a column, and the load says so."""
    held = [{"id": number, **({"late": "x"} if number > 8 else {})} for number in range(1, 26)]
    with Api(pages_of(held)) as api:
        config = settings(
            api.url, tmp_path / "spool", stream(schema=None), style="default", total_path=None, num_inference_records=5
        )  # fmt: skip
        run = runs.run(tmp_path, config)
    runs.bounded(run)
    assert run.code == 0, run.log
    assert [row["late"] for row in runs.in_order(run.staged())] == [None] * 8 + ["x"] * 17
    assert [(each["field"], each["became"]) for each in run.document()["drift"]] == [("late", "column")]


def test_a_nested_record_fits_flat_columns_that_are_declared(tmp_path: Path) -> None:
    columns = {
        "id": {"type": ["integer"], "x-sql-datatype": "int"},
        "address_city": {"type": ["string"]},
        "address_geo": {"type": ["object", "null"]},
        "tags": {"type": ["array", "null"]},
        "first_name": {"type": ["string"]},
        "last_name": {"type": ["string", "null"]},
        "ok": {"type": ["boolean"]},
    }
    held = [{name: value for name, value in row.items() if name != "empty"} for row in NESTED]
    with Api(pages_of(held)) as api:
        config = settings(
            api.url, tmp_path / "spool", stream(schema={"properties": columns}), style="default", total_path=None,
            except_keys=["address_geo"],
        )  # fmt: skip
        run = runs.run(tmp_path, config)
    runs.bounded(run)
    assert run.code == 0, run.log
    row = runs.in_order(run.staged())[1]
    assert (row["address_city"], row["first_name"], row["last_name"], row["ok"]) == ("cidade 2", "Ana", None, True)
    assert json.loads(row["address_geo"]) == {"lat": 1.0, "long-name": "x"}
    assert json.loads(row["tags"]) == ["a", {"b": 2}]


def test_a_nested_column_that_is_declared_keeps_its_object(tmp_path: Path) -> None:
    columns = {"id": {"type": ["integer"], "x-sql-datatype": "int"}, "address": {"type": ["object", "null"]}}
    held = [{name: row[name] for name in ("id", "address")} for row in NESTED]
    with Api(pages_of(held)) as api:
        config = settings(api.url, tmp_path / "spool", stream(schema={"properties": columns}), style="default", total_path=None)
        run = runs.run(tmp_path, config)
    runs.bounded(run)
    assert run.code == 0, run.log
    assert [json.loads(row["address"]) for row in runs.in_order(run.staged())] == [row["address"] for row in NESTED]


def test_parameters_may_be_in_the_body(tmp_path: Path) -> None:
    """A GET with a JSON body, as published; nothing of it in the address."""
    things = stream(schema={"type": "object", "properties": PLAIN})
    with Api(STYLES["offset"].serve(Table(rows(35)))) as api:
        config = settings(
            api.url, None, things,
            **{**AS_PUBLISHED, "next_page_token_path": "$", "use_request_body_not_params": True, "params": {"kind": "a"}},
        )  # fmt: skip
        left = ours(tmp_path, config)
        asked = list(api.requests)
        right = published(tmp_path, config)
    same_records(left, right)
    assert all(request.method == "GET" and not request.query for request in asked)
    assert all(json.loads(request.body)["kind"] == "a" for request in asked)
    assert {json.loads(request.body).get("offset", 0) for request in asked} >= {0, 10, 20, 30}


def test_a_limit_on_results_is_kept(tmp_path: Path) -> None:
    """As the README says: it restricts the total number of records; the load says that it did."""
    with Api(STYLES["restapi_header_link"].serve(Table(rows(95)))) as api:
        config = settings(
            api.url, tmp_path / "spool", style="restapi_header_link", total_path=None, pagination_results_limit=30
        )  # fmt: skip
        run = runs.run(tmp_path, config)
    runs.bounded(run)
    assert run.code == 0, run.log
    assert [row["id"] for row in runs.in_order(run.staged())] == list(range(1, 31))
    assert any("pagination_results_limit" in note for note in run.document()["notes"])
    assert len(api.requests) <= 4


@pytest.mark.parametrize("batch", [False, True], ids=["RECORD", "BATCH"])
def test_the_new_records_are_asked_for_as_published(batch: bool, tmp_path: Path) -> None:
    held = Table(rows(35))

    def since(request: Request) -> Reply:
        text = request.query.get("changed", "").removeprefix("gt:")
        newer = Table([row for row in held.rows if row["at"] > text])
        return STYLES["offset"].serve(newer)(request)

    more = {
        "replication_key": "at",
        "source_search_field": "changed",
        "source_search_query": "gt:$last_run_date",
    }
    start = {"start_date": "2026-01-01T20:00:00Z"}
    time = {**PLAIN, "at": {"type": ["string"], "format": "date-time", "x-sql-datatype": "datetime2"}}
    things = stream(schema={"type": "object", "properties": time}, **more)
    with Api(since) as api:
        if batch:
            run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", things, **start))
            assert run.code == 0, run.log
            assert [row["id"] for row in runs.in_order(run.staged())] == list(range(21, 36))
            return
        config = settings(api.url, None, things, **{**AS_PUBLISHED, "next_page_token_path": "$"}, **start)
        left = ours(tmp_path, config)
        asked = {request.query["changed"] for request in api.requests}
        count = len(api.requests)
        right = published(tmp_path, config)
        others = {request.query["changed"] for request in api.requests[count:]}
    assert [record["id"] for record in left.records()] == [record["id"] for record in right.records()] == list(range(21, 36))
    assert others == {"gt:2026-01-01T20:00:00"}
    assert asked == {"gt:2026-01-01T20:00:00Z"}, "as it was set: the published tap leaves the zone out"


# How to log in: the server opens only to whom it knows.

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


OAUTH = {"auth_method": "oauth", "scope": "read", "oauth_extras": {"resource": "https://api.example.com"}}
SCOPED = {"scope": "read", "resource": "https://api.example.com"}
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
