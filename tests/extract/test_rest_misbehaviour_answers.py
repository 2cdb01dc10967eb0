"""tap-rest-api-msdk against APIs whose answers break, stall, swell or say no: never stuck, never a traceback."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from api_kit import faults, runs, table, wire
from api_kit.cases import Case, Result, complete, either, named, play, refused, without_total
from api_kit.faults import first_requests, on, status, together
from api_kit.runs import settings, stream
from api_kit.server import Api, Reply
from api_kit.styles import STYLES
from api_kit.table import Table

SIZE = {"max_response_mb": 8}
QUICK = {"request_timeout_seconds": 1, "backoff_max_seconds": 2}


def exhausted(reply: Reply) -> Reply:
    """403 as GitHub's, whose limit is renewed in two seconds."""
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 2)}
    return status(403, headers=headers)(reply)


def throttled_until_a_date(reply: Reply) -> Reply:
    """429 for two seconds, said as a date."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    return status(429, headers={"Retry-After": date})(reply)


BODIES: dict[str, Case] = {
    "JSON breaks off under a right length, once": complete(on(wire.truncated, start=30, times=1)),
    "JSON breaks off under a right length, twice": complete(on(wire.truncated, start=30, times=2)),
    "JSON breaks off under a right length": refused(on(wire.truncated, start=30), '"data"'),
    "a page for people comes with 200, once": complete(on(wire.html, start=30, times=1)),
    "a page for people comes with 200, twice": complete(on(wire.html, start=30, times=2)),
    "a page for people comes with 200": refused(on(wire.html, start=30), "<html><body>Sign in"),
    "a page for people comes with 200 from the beginning": refused(on(wire.html), "<html><body>Sign in", requests=12),
    "gzip breaks off, once": complete(on(wire.gzip_cut, start=30, times=1)),
    "gzip breaks off": refused(on(wire.gzip_cut, start=30)),
    "what calls itself gzip is none": refused(on(wire.not_gzip, start=30)),
    "the body is empty, with 200, in the middle": without_total(refused, on(wire.nothing, start=30)),
    "the connection ends in the body, once": complete(on(wire.cut, start=30, times=1)),
    "the connection ends in the body": refused(on(wire.cut, start=30), "backoff_max_seconds"),
    "the connection is reset in the body, once": complete(on(wire.reset, start=30, times=1)),
    "the connection ends between chunks, once": complete(on(wire.chunks_cut, start=30, times=1)),
    "the connection ends between chunks": refused(on(wire.chunks_cut, start=30), "backoff_max_seconds"),
    "the connection ends without an answer, once": complete(on(wire.closed, start=30, times=1)),
    "the connection ends without an answer": refused(on(wire.closed), "backoff_max_seconds"),
    "the length is longer than the body, once": complete(on(wire.too_long_a_length, start=30, times=1), settings=QUICK),
    "another protocol answers": refused(on(wire.no_http)),
    "every page is gzip": complete(on(wire.gzipped)),
    "every page comes in chunks": complete(on(wire.chunked)),
    "every page ends with its connection": complete(on(wire.without_length)),
    "a byte order mark stands before the JSON": complete(on(wire.with_bom)),
    "answers are UTF-16": either(on(wire.utf_16), "utf-16"),
    "answers are no UTF-8": refused(on(wire.latin_1), "utf-8"),
}

STATUSES: dict[str, Case] = {
    "each page fails first with another 5xx": complete(
        together(*(on(status(code), start=10 * at, times=1) for at, code in enumerate((*range(500, 505), *range(520, 530))))),
        rows=150, settings={"backoff_max_seconds": 10}, requests=80,
    ),
    "503, always": refused(on(status(503)), "503", "backoff_max_seconds"),
    "501, always": refused(on(status(501)), "501", "backoff_max_seconds"),
    "522, always, on one page": refused(on(status(522), start=30), "522", "backoff_max_seconds"),
    "500 with a page for people": refused(on(lambda reply: wire.html(reply).but(status=500)), "500"),
    "400 with a reason": refused(on(status(400, {"error": "the view is closed"}), start=30), "400", "the view is closed"),
    "418": refused(on(status(418)), "418", requests=4),
    "410 on the first page": refused(on(status(410)), "410", requests=4),
    "403 that carries Retry-After, once": complete(on(status(403, headers={"Retry-After": "1"}), start=30, times=1)),
    "403 for an exhausted rate limit, once": complete(on(exhausted, start=30, times=1)),
    "403 for an exhausted rate limit without a word when it ends, once": complete(
        on(status(403, headers={"x-ratelimit-remaining": "0"}), start=30, times=1)
    ),
    "403": refused(on(status(403, {"message": "ask Ana for access"}), start=30), "403", "ask Ana for access", requests=20),
    "429 in seconds, once on each page": complete(on(status(429, headers={"Retry-After": "0"}), times=1)),
    "429 as a date, once": complete(on(throttled_until_a_date, start=30, times=1)),
    "429 as a date in the past, once": complete(
        on(status(429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), start=30, times=1)
    ),
    "429 until the year 9999": refused(
        on(status(429, headers={"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}), start=30), "throttle_max_seconds", requests=20
    ),
    "429 for longer than a number can say": refused(
        on(status(429, headers={"Retry-After": "9" * 40}), start=30), "throttle_max_seconds", requests=20
    ),
    "429 always": refused(on(status(429, headers={"Retry-After": "1"})), "429", "throttle_max_seconds", requests=40),
    "429 always without Retry-After": refused(on(status(429)), "429", "throttle_max_seconds", requests=200),
    **{
        f"429 with Retry-After: {told}, once": complete(on(status(429, headers={"Retry-After": told}), start=30, times=1))
        for told in (
            "-5", "soon", "1.5", "1,5", "0x10", "nan", "Fri, 99 Dec 99999 99:99:99 GMT", "Tue, 31 Feb 2026 00:00:00 GMT",
            "2026-01-01T00:00:00Z", "Wed, 21 Oct 2015 07:28:00 +9999",
        )
    },
    "503 with Retry-After, once": complete(on(status(503, headers={"Retry-After": "1"}), start=30, times=1)),
    "a redirect to itself": refused(
        lambda serve, held: lambda request: Reply(b"", 302, {"Location": request.target}), "redirect", requests=60
    ),
    "a redirect to what is no address": refused(
        on(lambda reply: Reply(b"", 302, {"Location": "http://[::1/things"})), "an address that is not valid"
    ),
    "a redirect to a port that is none": refused(
        on(lambda reply: Reply(b"", 302, {"Location": "http://127.0.0.1:99999/things"})), "an address that is not valid"
    ),
    "a link to what is no address": refused(
        on(lambda reply: reply.but(headers={"Link": '<http://[::1/things>; rel="next"'})), "link to the next page",
        style="header_link",
    ),
    "a redirect without a place": refused(on(lambda reply: Reply(b"", 302)), "302|redirect", requests=12),
    "304": refused(on(lambda reply: Reply(b"", 304)), "304", requests=12),
}  # fmt: skip

TIMES: dict[str, Case] = {
    "a byte comes each half second": refused(on(wire.drip), "request_timeout_seconds", settings=QUICK, seconds=12),
    "blanks come without an end, and no length was told": refused(
        on(wire.blanks_without_length), "request_timeout_seconds", settings=QUICK, seconds=12
    ),
    "a byte of the headers comes each half second": refused(
        on(wire.drip_of_headers), "request_timeout_seconds", settings=QUICK, seconds=12
    ),
    "a byte comes each half second, once": complete(on(wire.drip, start=30, times=1), settings=QUICK),
    "the server says nothing": refused(on(wire.silence), "request_timeout_seconds", settings=QUICK, seconds=12),
    "the server says nothing, once": complete(on(wire.silence, start=30, times=1), settings=QUICK),
    "the server says nothing behind the headers": refused(
        on(wire.silence_behind_headers), "request_timeout_seconds", settings=QUICK, seconds=12
    ),
    "the server says nothing behind the end": either(
        on(wire.silence, behind=True), "request_timeout_seconds", settings=QUICK, seconds=12
    ),
}

SIZES: dict[str, Case] = {
    "a body has no end": refused(on(wire.endless), "max_response_mb", settings=SIZE),
    "a body of white space has no end": refused(on(wire.endless_chunks), "max_response_mb", settings=SIZE),
    "headers have no end": refused(on(wire.endless_headers)),
    "300 kB of gzip are 300 MB": refused(on(wire.gzip_bomb), "max_response_mb", settings=SIZE),
    "300 kB of gzip are 300 MB, on one page": refused(on(wire.gzip_bomb, start=30), "max_response_mb", settings=SIZE),
    "an answer is just small enough": complete(
        on(lambda reply: reply.but({**reply.content, "ballast": "x" * (7 << 20)}), start=30), settings=SIZE
    ),
}


@pytest.mark.parametrize("case", named(BODIES))
def test_a_broken_body_is_fetched_again_then_refused(case: Case, played: Result) -> None:
    played(case)


@pytest.mark.parametrize("case", named(STATUSES))
def test_each_status_is_waited_out_or_told(case: Case, played: Result) -> None:
    played(case)


@pytest.mark.parametrize("case", named(TIMES))
def test_an_answer_takes_no_longer_than_allowed(case: Case, played: Result) -> None:
    played(case)


@pytest.mark.parametrize("case", named(SIZES))
def test_an_answer_takes_no_more_memory_than_allowed(case: Case, played: Result) -> None:
    played(case)


@pytest.mark.parametrize("what", ["JSON breaks off under a right length", "a page for people comes with 200", "gzip breaks off"])
def test_a_body_that_stays_broken_is_fetched_three_times(what: str, tmp_path: Path) -> None:
    _, api = play(BODIES[what], tmp_path)
    assert len(api.asked(offset=30)) == 3


def test_retry_after_is_waited_for(tmp_path: Path) -> None:
    _, api = play(complete(on(status(429, headers={"Retry-After": "2"}), start=30, times=1)), tmp_path)
    first, second = api.asked(offset=30)[:2]
    assert 2 <= second.at - first.at < 4


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"backoff_param": "X-Wait"}, {"headers": {"X-Wait": "2", "Retry-After": "0"}}),
        ({"backoff_param": "X-Wait"}, {"headers": {"Retry-After": "2"}}),
        ({"backoff_type": "message"}, {"content": {"message": "call 1 was too much: wait 2 seconds"}}),
        ({"backoff_time_extension": 2}, {"headers": {"Retry-After": "0"}}),
    ],
    ids=["the header that backoff_param names", "Retry-After, without that header", "the message", "and backoff_time_extension"],
)
def test_it_waits_as_long_as_the_api_says_where_the_settings_say_to_look(
    given: dict[str, Any], answer: dict[str, Any], tmp_path: Path
) -> None:
    case = complete(on(status(429, **answer), start=30, times=1), settings=given)
    _, api = play(case, tmp_path)
    first, second = api.asked(offset=30)[:2]
    assert 2 <= second.at - first.at < 4


def test_a_refusal_shows_500_characters_of_the_answer_at_most(tmp_path: Path) -> None:
    run, _ = play(refused(on(status(400, {"error": "a" + "b" * 5_000})), "abbb"), tmp_path)
    assert "b" * 400 in run.log
    assert "b" * 501 not in run.log


@pytest.mark.parametrize("what", ["without", "with"])
def test_too_many_pages_in_flight_are_never_asked_for(what: str, tmp_path: Path) -> None:
    """The server sees how many answers are waited for at the same time."""
    most, now = 0, 0

    def held_up(reply: Reply) -> Reply:
        def send(connection: wire.Wire) -> None:
            nonlocal most, now
            now += 1
            most = max(most, now)
            connection.hang(0.05)
            now -= 1
            connection.send(reply.head(Connection="close") + reply.body)

        return reply.but(raw=send)

    limit = {"max_parallel_pages": 2} if what == "with" else {}
    play(complete(on(held_up), settings=limit), tmp_path)
    assert most <= (2 if what == "with" else 16)


def test_requests_per_second_is_kept(tmp_path: Path) -> None:
    _, api = play(complete(faults.honest, settings={"requests_per_second": 10}), tmp_path)
    times = [request.at for request in api.requests]
    assert len(times) >= 10
    assert times[-1] - times[0] >= (len(times) - 1) / 10 * 0.9


SIGNALS = {"SIGTERM": (signal.SIGTERM, 143), "SIGINT": (signal.SIGINT, 130)}


@pytest.mark.parametrize("batch", [False, True], ids=["RECORD", "BATCH"])
@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("when", ["in a request that hangs", "in a wait"])
def test_a_signal_ends_the_tap_within_five_seconds(name: str, batch: bool, when: str, tmp_path: Path) -> None:
    number, code = SIGNALS[name]
    fault = on(wire.silence if when == "in a request that hangs" else status(429, headers={"Retry-After": "60"}), start=30)
    held = Table(table.rows(100))
    spool = tmp_path / "spool"
    with Api(fault(STYLES["offset"].serve(held), held)) as api:
        config = settings(api.url, spool if batch else None, request_timeout_seconds=100, throttle_max_seconds=300)
        file = tmp_path / "config.json"
        file.write_text(json.dumps(config))
        with (
            (tmp_path / "out.jsonl").open("wb") as out,
            (tmp_path / "log.txt").open("wb") as log,
            subprocess.Popen([runs.tap(), "--config", str(file)], stdout=out, stderr=log) as tap,
        ):
            until = time.monotonic() + 20
            while not api.asked(offset=30) and time.monotonic() < until:
                runs.watch(tap, time.monotonic() + 0.05)
            began = time.monotonic()
            tap.send_signal(number)
            runs.watch(tap, began + 10)
            took, ended = time.monotonic() - began, tap.poll()
            tap.kill()
    said = (tmp_path / "log.txt").read_text()
    assert ended == code, said
    assert took < 5
    assert "Traceback" not in said, said
    assert not list(spool.rglob("*.load.json"))
    kinds = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert not [message for message in kinds if message["type"] in ("BATCH", "STATE")]


def test_several_things_go_wrong_at_once_and_the_load_is_whole(tmp_path: Path) -> None:
    play(
        complete(
            together(
                on(wire.gzipped, start=10),
                on(wire.truncated, start=20, times=1),
                on(status(503), start=30, times=2),
                on(wire.cut, start=40, times=1),
                on(wire.with_bom, start=50),
                on(status(429, headers={"Retry-After": "1"}), start=60, times=1),
                on(wire.html, start=70, times=2),
                on(wire.chunked, start=80),
            ),
            settings={"backoff_max_seconds": 10},
        ),
        tmp_path,
    )


def test_inference_meets_the_same_answers(tmp_path: Path) -> None:
    """The requests by which a schema is inferred are tried again as others are."""
    held = Table(table.rows(40))
    serve = first_requests(2, lambda number, reply: status(503)(reply))(STYLES["offset"].serve(held), held)
    with Api(serve) as api:
        run = runs.run(tmp_path, settings(api.url, tmp_path / "spool", stream(schema=None)))
    runs.bounded(run)
    assert run.code == runs.ENDED, run.log
    assert [row["id"] for row in runs.in_order(run.staged())] == list(range(1, 41))
