"""Many rows in many ranges: counted and summed as the server does it; cut connections; a broken run that is gone on with."""

from __future__ import annotations

import hashlib

from tap_mssql.accept.cutting import cutting
from tap_mssql.accept.place import SCHEMA
from tap_mssql.accept.reading import Ran, Reading
from tap_mssql.accept.trial import Outcomes, Trial, absent, told

ROWS, RANGE_ROWS = 4096, 512
_LENGTH = 200  # characters of a row's text
_CUT = 400_000  # bytes from the server: about half of the rows
_SUM = "SUM(CONVERT(bigint, {}))"
_HASH = _SUM.format("CONVERT(binary(6), HASHBYTES('SHA2_256', v))")


def whole(trial: Trial) -> Outcomes:
    """Rows, sum and hashes of a table as the server computes them."""
    text = f"REPLICATE(CONVERT(nvarchar(20), id), {_LENGTH} / LEN(CONVERT(nvarchar(20), id)))"
    trial.place.table("many", f"id int NOT NULL PRIMARY KEY, v nvarchar({_LENGTH}) NULL", [f"{n}, NULL" for n in range(64)])
    rows = 64
    while rows < ROWS:
        trial.place.does(f"INSERT INTO {SCHEMA}.many SELECT id + {rows}, NULL FROM {SCHEMA}.many")
        rows *= 2
    trial.place.does(f"UPDATE {SCHEMA}.many SET v = {text}")
    ran = trial.reading.over(range_rows=RANGE_ROWS).run("many")
    yield told("rows, sum and hashes", _wrong(trial, ran), f"{ROWS} rows in ranges, equal to the server's own figures")


def breaks(trial: Trial) -> Outcomes:
    """A connection that is cut amid the rows; a run that is broken, and the next one."""
    settings = trial.reading.settings
    names = ("cut connection", "resume")
    if settings.azure or settings.by_browser:
        why = (
            "Azure's gateway asks for the server's name" if settings.azure else "SQL Server Browser tells the port to the driver"
        )
        yield from (absent(name, f"{why}, so that nothing can stand in between") for name in names)
        return
    reading = trial.reading.over(range_rows=RANGE_ROWS, max_parallel=1)
    for name, patience in ((names[0], settings.retry_seconds or 60), (names[1], 0)):
        with cutting(settings.host, settings.port, [None, _CUT]) as port:
            ran = _through(reading, port, patience).run("many")
        if name == "resume":
            broken, ran = ran, reading.run("many")
            notes = ran.loads["many"].document.notes if "many" in ran.loads else []
            found = [note for note in notes if "read by an earlier run" in note]
            wrong = _wrong(trial, ran) or ("" if broken.error else "nothing broke") or ("" if found else "nothing of it is used")
            yield told(name, wrong, found[0] if found else "")
        else:
            yield told(name, _wrong(trial, ran), "read again on a new connection: each row once")


def _through(reading: Reading, port: int, retry_seconds: int) -> Reading:
    """By way of a port of this machine; the certificate is still that of the server's name."""
    settings = reading.settings
    name = settings.host_name_in_certificate or ("" if settings.trust_server_certificate else settings.host)
    return reading.over(host="127.0.0.1", port=port, host_name_in_certificate=name, retry_seconds=retry_seconds)


def _wrong(trial: Trial, ran: Ran) -> str:
    """What the load and the server do not agree on; empty text for nothing."""
    if "many" not in ran.loads:
        return ran.error or "nothing was read"
    load = ran.loads["many"]
    asked = trial.place.rows(f"SELECT COUNT_BIG(*), {_SUM.format('id')}, {_HASH} FROM {SCHEMA}.many")[0]
    hashes = sum(int.from_bytes(hashlib.sha256(v.encode("utf-16-le")).digest()[:6], "big") for v in load.column("v"))
    found = (load.rows.num_rows, sum(load.column("id")), hashes)
    if tuple(map(int, asked)) != found or load.document.source_rows != found[0]:
        return f"the server says rows, sum and hashes {tuple(map(int, asked))}, the parts hold {found}"
    return ""
