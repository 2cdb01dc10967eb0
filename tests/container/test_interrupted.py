"""One container after the other is ended in the middle of a step, and a new one takes up what it left: source = Delta at the end.

Each moment is a request that the workspace, or SQL Server, leaves unanswered: what hangs is the hardest to end. The passwords
and the token come from files: so they are in nothing that the engine tells of a container.
"""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from image_kit import TAG, Image, assert_whole_run, delta_rows, forms, mounted, source_rows, write_env

from sandbox.launch import Sandbox

pytestmark = [pytest.mark.container, pytest.mark.timeout(300)]
PLACE = "interrupted"
STOP_SECONDS = 10  # what Docker gives a container, before it kills
HELD_SECONDS = 15
HELD = {
    "upload": "/dbfs/(put|create)",
    "convert": "/jobs/runs/get",
    "verify": "/dbfs/read",
}  # requests, by the step that makes them


@dataclass(frozen=True)
class Chain:
    """What the containers share: options, the volume for `output`, and the workspace."""

    image: Image
    services: Sandbox
    options: tuple[str, ...]
    output: Path

    def start(self, step: str) -> str:
        """Starts a container for one step; its name."""
        name = f"interrupted-{step}-{time.monotonic_ns()}"
        self.image.engine.must("run", "-d", "--name", name, *self.options, TAG, step)
        return name

    def whole(self, step: str) -> None:
        """Runs a step to its end."""
        done = self.image.run(*self.options, TAG, step)
        assert done.returncode == 0, done.stderr[-3000:]

    def workspace(self, what: str, order: dict[str, Any] | None = None) -> Any:
        """The sandbox's own door into the workspace: which requests it has seen, or what is to happen to the next ones."""
        counterpart = self.services.workspace
        body = json.dumps(order).encode() if order else None
        url = f"http://127.0.0.1:{counterpart.facts['port']}/sandbox/{what}"
        request = urllib.request.Request(url, body, {"Authorization": f"Bearer {counterpart.secret}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def holds(self) -> int:
        """How many requests the workspace has held so far."""
        return sum("fault" in each for each in self.workspace("requests"))

    @contextmanager
    def held(self, step: str) -> Iterator[Callable[[], bool]]:
        """One request of the step gets no answer for as long as anybody here waits; whether it has come."""
        if step == "extract":
            before, server = self.parts(), self.services.sqlserver.process

            def halted() -> bool:
                if self.parts() == before:
                    return False
                server.send_signal(signal.SIGSTOP)
                return True

            try:
                yield halted
            finally:
                server.send_signal(signal.SIGCONT)
            return
        path = HELD[step]
        before = self.holds()
        self.workspace(
            "faults", {"requests": [{"kind": "slow", "path": path, "seconds": HELD_SECONDS, "skip": 2 * (step == "upload")}]}
        )
        yield lambda: self.holds() > before

    def parts(self) -> int:
        return sum(1 for _ in self.output.rglob("*.parquet"))

    def until(self, name: str, come: Callable[[], bool]) -> None:
        """Waits for a moment of a container, looking at its processes meanwhile: no argument of any is a secret."""
        deadline = time.monotonic() + 120
        while not come():
            seen = self.image.engine.docker("top", name, "-eo", "pid,args").stdout
            assert [form for form in forms(self.image.secrets) if form in seen] == []
            if not seen or time.monotonic() > deadline:
                pytest.fail(self.image.engine.docker("logs", name).stderr[-3000:])
            time.sleep(0.1)

    def ended(self, name: str) -> tuple[int, str]:
        """The exit code and what it said, when neither that nor the engine's record of the container has a secret; removes it."""
        record = json.loads(self.image.engine.must("inspect", name))
        told = self.image.engine.docker("logs", name)
        text = told.stdout + told.stderr
        assert [form for form in forms(self.image.secrets) if form in text or form in json.dumps(record)] == []
        self.image.engine.must("rm", name)
        return record[0]["State"]["ExitCode"], text


@pytest.fixture(scope="module")
def chain(image: Image, services: Sandbox, variables: dict[str, str], work: Path) -> Chain:
    output, folder = work / "interrupted", work / "secrets"
    output.mkdir()
    output.chmod(0o777)
    folder.mkdir()
    files, plain = [], {}
    for name, value in (variables | places()).items():
        if value not in image.secrets:
            plain[name] = value
            continue
        folder.joinpath(name).write_text(f"{value}\n")
        folder.joinpath(name).chmod(0o444)
        files += ["-e", f"{name}_FILE=/run/secrets/{name}"]
    env = write_env(work / "interrupted.env", plain)
    options = ("--network", "host", "--env-file", str(env), *files, "-v", f"{folder}:/run/secrets:ro", *mounted(work))
    return Chain(image, services, (*options, "-v", f"{output}:/project/output"), output)


def places() -> dict[str, str]:
    return {"LAKEHOUSE_STAGE": f"dbfs:/{PLACE}/stage", "LAKEHOUSE_TARGET": f"dbfs:/{PLACE}/delta"}


@pytest.mark.parametrize("step", ["extract", "upload", "convert", "verify"])
def test_a_step_can_be_stopped_and_killed_in_the_middle(chain: Chain, step: str) -> None:
    """`docker stop`: 143 before Docker would kill; then, in a new container, `docker kill`. Then a third one does the step."""
    with chain.held(step) as come:
        name = chain.start(step)
        chain.until(name, come)
        if step == "extract":
            second = chain.image.run(*chain.options, TAG)
            assert second.returncode == 7 and "another run (process 1 on " in second.stderr
        begin = time.monotonic()
        chain.image.engine.must("stop", "--time", str(STOP_SECONDS), name)
        seconds = time.monotonic() - begin
    code, text = chain.ended(name)
    assert code == 143 and seconds < STOP_SECONDS, f"exit {code} after {seconds:.1f} s:\n{text[-3000:]}"
    assert "terminated; Delta holds whole loads only" in text
    asked = [each["path"] for each in chain.workspace("requests")]
    assert step != "convert" or any(path.endswith("/jobs/runs/cancel") for path in asked[-20:]), asked[-20:]
    with chain.held(step) as come:
        name = chain.start(step)
        chain.until(name, come)
        chain.image.engine.must("kill", name)
    code, _ = chain.ended(name)
    assert code == 137
    if step != "verify":  # the next step has something to do
        chain.whole(step)


def test_env_file_run_loads_every_row(
    image: Image, services: Sandbox, variables: dict[str, str], chain: Chain, work: Path
) -> None:
    """A container without a volume finishes what those before it left in the workspace, and reads everything anew.

    One value in double quotes, one in single ones: docker keeps them, .env readers do not, both mean the same.
    """
    quoted = {"API_PASSWORD": f'"{variables["API_PASSWORD"]}"', "TAP_MSSQL_DATABASE": f"'{variables['TAP_MSSQL_DATABASE']}'"}
    env = write_env(work / "first.env", variables | places() | quoted)
    begin = time.monotonic()
    done = image.run("--network", "host", "--env-file", str(env), *mounted(work), TAG)
    print(f"run: {time.monotonic() - begin:.1f} s")
    assert_whole_run(done, image)
    expected = source_rows(services)
    assert min(expected.values()) >= 0 and sum(expected.values()) > 1000
    assert delta_rows(services, PLACE) == expected
