"""`kill -9` at any moment."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable

from chain_kit import Pipeline, Result, kill_tree, mine, strays
from source_kit import assert_delta_is_the_source, execute, rows

KILLS = int(os.environ.get("LIGHTHOUSE_KILLS", "3"))
SEED = 20261124


def test_after_kills_at_random_moments_one_run_ends_with_what_the_source_holds(
    first: tuple[Pipeline, Result], pipeline: Callable[[str], Pipeline]
) -> None:
    """One in each part of a run, in no order."""
    moments, one = random.Random(SEED), pipeline("killed")
    one.environment.pop("COVERAGE_PROCESS_START", None)  # what is killed would measure nothing, at a third more of its CPU
    server = one.sandbox.sqlserver
    orders = [row[0] for row in rows(server, "SELECT SalesOrderID FROM Sales.SalesOrderHeader ORDER BY SalesOrderID")]
    told = []
    for part in moments.sample(range(KILLS), KILLS):
        process = one.start()
        moment = moments.uniform(part, part + 1) / KILLS * first[1].seconds
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            kill_tree(process.pid)
            process.wait(10)
        told.append(f"{moment:.1f} s: {one.said(process).splitlines()[-1:]}")
        assert process.returncode in (0, -9), one.said(process)
        assert mine(one.folder) == []
        # Something new for the incremental stream, between any two runs.
        execute(
            server,
            "UPDATE Sales.SalesOrderHeader SET SubTotal = SubTotal + 0.0001, ModifiedDate = (SELECT DATEADD(second, 1, "
            f"MAX(ModifiedDate)) FROM Sales.SalesOrderHeader) WHERE SalesOrderID = {moments.choice(orders)}",
        )
    good = one.run()
    assert good.code == 0, "\n".join([*told, good.text])
    assert_delta_is_the_source(one)
    assert strays(one.output) == []
