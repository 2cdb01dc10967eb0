"""tap-rest-api-msdk against APIs whose pages, totals and ends are wrong: the whole stream, or exit 3 that says why.

What the server does is the name of each case; its right outcome stands beside it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from api_kit import faults, runs, table, wire
from api_kit.cases import Case, Result, complete, either, named, play, refused, without_total
from api_kit.faults import changes, empty, members, on, records, status, together
from api_kit.server import Api, Reply, Request, Serve
from api_kit.styles import STYLES
from api_kit.table import Table

SETTLE = {"settle_max_seconds": 2}
ONE_BY_ONE = {"max_parallel_pages": 1}


def one_more(serve: Serve, held: Table) -> Serve:
    """Pages that reach into the next one."""

    def altered(request: Request) -> Reply:
        reply = serve(request)
        start, length = reply.start or 0, len(reply.content["data"])
        return reply.but({**reply.content, "data": held.rows[start : start + length + 1]})

    return altered


def an_empty_page_between(serve: Serve, held: Table) -> Serve:
    """A page without records that is not the last one."""

    def altered(request: Request) -> Reply:
        if request.parameters.get("page") == "from-30":
            return Reply({"data": [], "next_page": "from-030"}, start=30)
        return serve(request)

    return altered


SHIFTS: dict[str, Case] = {
    "a row comes in front and the last one goes, once": complete(
        changes(table.insert_in_front_and_delete_last, after=4), settings=SETTLE
    ),
    "a row comes in front and the last one goes, three times": complete(
        changes(table.insert_in_front_and_delete_last, after=4, every=3, times=3), settings={"settle_max_seconds": 10}
    ),
    "a row comes in front and the last one goes before every page": refused(
        changes(table.insert_in_front_and_delete_last, every=1, times=None), r"\bid\b", "settle_max_seconds",
        settings=SETTLE, requests=2_000,
    ),
    "the first row goes and one comes at the end, once": complete(
        changes(table.delete_first_and_append, after=4), settings=SETTLE | ONE_BY_ONE
    ),
    "the first row goes, once, and the API tells no total": without_total(
        complete, changes(table.delete_first, after=4), settings=SETTLE
    ),
    "the order is another one in each answer": refused(
        changes(table.in_another_order(), after=0, every=1, times=None), r"\bid\b", "settle_max_seconds",
        settings=SETTLE, requests=2_000,
    ),
    "the order changes once": complete(changes(table.in_another_order(), after=5), settings=SETTLE),
    "the order changes once, and the API tells no total": without_total(
        complete, changes(table.in_another_order(), after=5), settings=SETTLE
    ),
    "a row comes in front, once": complete(changes(table.insert_in_front, after=4), settings=SETTLE),
    "a row comes in front, once, and the API tells no total": without_total(
        complete, changes(table.insert_in_front, after=4), settings=SETTLE
    ),
    "the first row goes, once": complete(changes(table.delete_first, after=4), settings=SETTLE),
    "the last row goes, once": complete(changes(table.delete_last, after=4), settings=SETTLE),
    "rows come and go at the front": refused(
        together(
            changes(table.delete_first, after=1, every=2, times=None),
            changes(table.insert_in_front, after=2, every=2, times=None),
        ),
        # The server toggles between few states: by the timing of its requests a read may see those of the one before.
        "settle_max_seconds|read twice, with the same result", settings=SETTLE, requests=2_000,
    ),
    "one row is committed at the end before each page": complete(
        changes(table.append, every=1, times=None), settings=SETTLE, least=100
    ),
    "rows are committed at the end for a while": complete(changes(table.append, every=2, times=12), settings=SETTLE, least=100),
    "rows are committed at the end for a while, and the API tells no total": without_total(
        complete, changes(table.append, every=2, times=6), settings=SETTLE, least=100
    ),
    "a whole page is committed at the end at once": complete(
        changes(lambda held: held.become([*held.rows, *(held.new() for _ in range(25))]), after=5), settings=SETTLE, least=100
    ),
    "all rows go in mid-run": complete(changes(lambda held: held.become([]), after=5), settings=SETTLE),
}  # fmt: skip

DOUBLES: dict[str, Case] = {
    "a row comes twice on a page, in place of another": refused(
        on(records(lambda found: [*found[:-1], found[0]]), start=40), r"\bid\b", "41",
        settings=SETTLE, requests=2_000,
    ),
    "a row comes twice on a page, in place of another, once": complete(
        on(records(lambda found: [*found[:-1], found[0]]), start=40, times=1), settings=SETTLE
    ),
    "a row comes twice beside all others": complete(
        on(records(lambda found: [*found, found[0]]), start=90), settings=SETTLE
    ),
    "two rows of other content have one key": refused(
        on(records(lambda found: [*found[:-1], {**found[-1], "id": found[0]["id"]}]), start=40), r"\bid\b", "41",
        settings=SETTLE, requests=2_000,
    ),
    "two pages come in turn": refused(faults.alternating, settings=SETTLE, requests=200),
    "two pages come in turn, and the API tells no total": without_total(
        refused, faults.alternating, settings=SETTLE, requests=200
    ),
    "two pages come in turn, which would be enough for the total": refused(
        together(faults.alternating, on(members(total=20))), settings=SETTLE, requests=200
    ),
    "whatever is asked for, the first page comes": refused(faults.same_page, requests=30, settings=SETTLE),
    "whatever is asked for, the first page comes, and the API tells no total": without_total(
        refused, faults.same_page, requests=30
    ),
    "a cache answers with what was asked before": either(faults.late, requests=2_000, settings=SETTLE),
}  # fmt: skip

TOTALS: dict[str, Case] = {
    "the total is the page's own number of records": refused(on(faults.total(lambda right, own: own)), "total_path"),
    "the total is null": refused(on(members(total=None)), "total_path"),
    "the total is null on one page": refused(on(members(total=None), start=30), "total_path"),
    "the total is missing on one page": refused(on(faults.without("total"), start=30), "total_path"),
    "the total is a text": complete(on(faults.total(lambda right, own: str(right)))),
    "the total is 100.0": complete(on(faults.total(lambda right, own: float(right)))),
    "the total is no whole number": refused(on(faults.total(lambda right, own: right + 0.5)), "total_path"),
    "the total is negative": refused(on(members(total=-1)), "total_path"),
    "the total is a word": refused(on(members(total="lots")), "total_path", "lots"),
    "the total is true": refused(on(members(total=True)), "total_path"),
    "the total is too high": refused(
        on(faults.total(lambda right, own: right + 3)), "100", "103", settings=SETTLE, requests=2_000
    ),
    "the total is too low, and ends within a page": refused(
        on(faults.total(lambda right, own: right - 3)), "total_path", settings=SETTLE, requests=2_000
    ),
    "the total is too low, and ends with a page": refused(
        on(faults.total(lambda right, own: right - 10)), "total_path", settings=SETTLE, requests=2_000
    ),
    "the total is 0, and there are rows": refused(on(members(total=0)), "total_path", settings=SETTLE, requests=2_000),
    "the total is huge": refused(on(members(total=10**18)), settings=SETTLE, requests=2_000),
    "one of two replicas is a row behind": either(
        together(changes(table.delete_last, after=1, every=2, times=None), changes(table.append, after=2, every=2, times=None)),
        settings=SETTLE, requests=2_000,
    ),
    "there are no rows, and the total is 0": complete(faults.honest, rows=0, requests=4),
    "there are no rows, and the API tells no total": without_total(complete, faults.honest, rows=0, requests=4),
    "there is exactly one page": complete(faults.honest, rows=10, requests=4),
}  # fmt: skip

ENDS: dict[str, Case] = {
    "a page in the middle is empty": without_total(refused, on(empty, start=30), "empty|no record"),
    "a page in the middle is empty, once": without_total(either, on(empty, start=30, times=1), "empty|no record"),
    "a page in the middle is empty, though there is a total": refused(
        on(empty, start=30), settings=SETTLE, requests=2_000
    ),
    "a page in the middle is empty, though there is a total, once": either(
        on(empty, start=30, times=1), settings=SETTLE, requests=2_000
    ),
    "a page in the middle is 404": without_total(refused, on(status(404), start=30), "404"),
    "a page in the middle is 204": without_total(refused, on(wire.no_content, start=30)),
    "a page in the middle is null": without_total(refused, on(wire.null, start=30)),
    "an error stands beside empty data": without_total(
        refused, on(members(data=[], error="quota exceeded"), start=30), "quota exceeded"
    ),
    "an error stands beside empty data, though there is a total": refused(
        on(members(data=[], error="quota exceeded"), start=30), "quota exceeded"
    ),
    "errors stand beside empty data": without_total(
        refused, on(members(data=[], errors=[{"message": "quota exceeded"}]), start=30), "quota exceeded"
    ),
    "an error stands in place of the data": without_total(
        refused, on(lambda reply: reply.but({"error": {"code": 7, "text": "quota exceeded"}}), start=30), "quota exceeded"
    ),
    "an error that error_paths names stands beside empty data": without_total(
        refused, on(members(data=[], status={"fault": "quota exceeded"}), start=30), "quota exceeded",
        settings={"error_paths": ["$.status.fault"]},
    ),
    "an empty error stands beside each page": without_total(complete, on(members(error=None, errors=[]))),
    "behind the end comes 404": without_total(complete, on(status(404), behind=True)),
    "behind the end comes 400": without_total(complete, on(status(400, {"error": "offset too large"}), behind=True)),
    "behind the end comes 204": without_total(complete, on(wire.no_content, behind=True)),
    "behind the end comes null": without_total(complete, on(wire.null, behind=True)),
    "behind the end the data is null": without_total(complete, on(members(data=None), behind=True)),
    "behind the end comes 404, and there is a total": complete(on(status(404), behind=True)),
    "behind the end comes 400, and there is a total": complete(on(status(400, {"error": "no"}), behind=True)),
    "behind the end comes 204, and there is a total": complete(on(wire.no_content, behind=True)),
    "behind the end come records, and there is a total": refused(
        on(records(lambda found: [table.row(777)]), behind=True), "total_path", settings=SETTLE, requests=2_000
    ),
    "the last page is full, and the API tells no total": without_total(complete, faults.honest, rows=30, requests=8),
    "the first page is 404": refused(on(status(404)), "404", requests=4),
    "the first page is 400": without_total(
        refused, on(status(400, {"error": "no such view"})), "400", "such view", requests=4
    ),
    "there is no data, and 204 says so": without_total(complete, on(wire.no_content), rows=0, requests=4),
    "the answers have no member that records_path names": without_total(
        refused, faults.honest, "records_path", settings={"records_path": "$.items[*]"}, requests=8
    ),
    "the answers have no member that total_path names": refused(
        faults.honest, "total_path", settings={"total_path": "$.count"}, requests=8
    ),
    "pages are shorter than asked for": complete(faults.honest, cap=7),
    "pages are shorter than asked for, and the API tells no total": without_total(complete, faults.honest, cap=7),
    "pages have a record more than was asked for": complete(one_more, settings=SETTLE),
    "a page is empty, and names the next one": without_total(complete, an_empty_page_between, style="default"),
}  # fmt: skip


OVERLAPPING = {name: replace(case, settings={"overlap_pages": True, **case.settings}) for name, case in SHIFTS.items()}


@pytest.mark.parametrize("case", named(OVERLAPPING))
def test_rows_that_move_while_they_are_read_are_read_again_or_refused(case: Case, played: Result) -> None:
    played(case)


@pytest.mark.parametrize("case", named(DOUBLES))
def test_rows_that_come_twice_are_never_counted_for_others(case: Case, played: Result) -> None:
    played(case)


@pytest.mark.parametrize("case", named(TOTALS))
def test_a_total_is_proven_or_refused_by_the_name_of_its_setting(case: Case, played: Result) -> None:
    played(case)


@pytest.mark.parametrize("case", named(ENDS))
def test_the_end_is_decided_and_never_guessed(case: Case, played: Result) -> None:
    played(case)


def token(*following: str | None) -> faults.Alter:
    """The next token that a page names, whatever comes: a circle."""
    after = dict(zip(("from-0", *following), following, strict=False))
    return lambda reply: reply.but({**reply.content, "next_page": after.get(f"from-{reply.start}")})


def linked(url: str) -> faults.Alter:
    """Link headers that name this address as the next page."""
    return lambda reply: reply.but(headers={"Link": f'<{url}>; rel="next"'})


def new_token_for_an_old_page(serve: Serve, held: Table) -> Serve:
    """A new token each time, and behind it the first page again."""
    count = iter(range(10**6))

    def altered(request: Request) -> Reply:
        return Reply({"data": held.rows[:10], "next_page": f"from-{10 * next(count) + 10}"}, start=0)

    return altered


CIRCLES: dict[str, Case] = {
    "the token is that of its own page": without_total(refused, on(token("from-0")), style="default", requests=8),
    "tokens go round": without_total(refused, on(token("from-10", "from-20", "from-0")), style="default", requests=12),
    "each token is new, and the page is the same": without_total(
        refused, new_token_for_an_old_page, style="default", requests=12
    ),
    "the page's link is to itself": without_total(
        refused, on(linked("/things?per_page=10&page=1")), style="header_link", requests=8
    ),
    "the page's link in the body is to itself": without_total(
        refused, on(members(links={"next": "/things?cursor=from-0"})), style="hateoas", requests=8
    ),
    "hasMore is always true": without_total(either, on(members(hasMore=True)), style="page_number", requests=30),
}


@pytest.mark.parametrize("case", named(CIRCLES))
def test_a_circle_of_pages_ends(case: Case, played: Result) -> None:
    played(case)


def test_without_keys_the_load_says_that_gaps_cannot_be_excluded(tmp_path: Path) -> None:
    run, _ = play(complete(faults.honest, stream={"primary_keys": None}), tmp_path)
    assert any("missing" in note or "gap" in note for note in run.document()["notes"]), run.document()["notes"]


def test_doubles_that_were_dropped_are_counted_in_the_load(tmp_path: Path) -> None:
    run, _ = play(DOUBLES["a row comes twice beside all others"], tmp_path)
    notes = run.document()["notes"]
    assert any("1" in note and any(word in note for word in ("twice", "double", "again")) for note in notes), notes


FILTERED = {"records_path": "$.data[?(@.id > 50)]"}


@pytest.mark.parametrize("total", [False, True], ids=["no total", "total"])
def test_a_records_path_with_a_filter_skips_no_record(total: bool, tmp_path: Path) -> None:
    """The offset is that of the server's records, not of those that pass the filter, of which the first pages have none."""
    held = Table(table.rows(100))
    passing = [record for record in held.rows if record["id"] > 50]
    with Api(STYLES["offset"].serve(held, total=total)) as api:
        more = FILTERED | ({} if total else {"total_path": None})
        run = runs.run(tmp_path, runs.settings(api.url, tmp_path / "spool", **more))
    runs.bounded(run)
    assert run.code == runs.ENDED, run.log
    assert runs.in_order(run.staged()) == runs.in_order(map(table.stored, passing))


def test_a_records_path_without_its_star_reads_the_list_or_is_refused_by_name(tmp_path: Path) -> None:
    held = Table(table.rows(100))
    with Api(STYLES["offset"].serve(held)) as api:
        run = runs.run(tmp_path, runs.settings(api.url, tmp_path / "spool", records_path="$.data"))
    runs.bounded(run)
    if run.code == runs.ENDED:
        runs.whole(run, *held.states)
    else:
        runs.refused(run, "records_path", code=run.code if run.code in (2, 3) else 3)


def test_streams_of_one_api_page_in_their_own_ways_one_of_them_with_a_total_of_null(tmp_path: Path) -> None:
    held = Table(table.rows(35))
    serve = {
        "/things": STYLES["offset"].serve(held),
        "/uncounted": on(members(total=None))(STYLES["offset"].serve(held), held),
        "/numbered": STYLES["page_number"].serve(held, total=False),
    }
    streams = (
        runs.stream(pagination_page_size=7),
        runs.stream(name="uncounted", path="/uncounted", total_path="none"),
        runs.stream(name="numbered", path="/numbered", total_path="none") | STYLES["page_number"].settings,
    )
    with Api(lambda request: serve[request.path](request)) as api:
        run = runs.run(tmp_path, runs.settings(api.url, tmp_path / "spool", *streams))
    runs.bounded(run)
    assert run.code == runs.ENDED, run.log
    assert [run.document(name)["source_rows"] for name in ("things", "uncounted", "numbered")] == [35, None, None]
    assert len(run.staged("things")) == len(run.staged("uncounted")) == len(run.staged("numbered")) == 35
    limits = {
        name: {request.query.get("limit") for request in api.requests if request.path == f"/{name}"}
        for name in ("things", "uncounted", "numbered")
    }
    assert limits["things"] == {"7"} and "7" not in limits["uncounted"] | limits["numbered"], limits
    assert all("page" in request.query for request in api.requests if request.path == "/numbered")


def test_records_have_no_end_of_their_own_when_a_page_fails(tmp_path: Path) -> None:
    """RECORD output: what came before the failure may be sent; the exit code says that it is not the whole."""
    held = Table(table.rows(100))
    serve = on(status(404), start=30)(STYLES["offset"].serve(held), held)
    with Api(serve) as api:
        run = runs.run(tmp_path, runs.settings(api.url, None))
    runs.bounded(run)
    assert run.code == runs.REFUSED, run.log
    assert "404" in run.log
    assert not [message for message in run.messages if message["type"] == "STATE" and message["value"].get("bookmarks")]
    assert len(run.records()) < 100
