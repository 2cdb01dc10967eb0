"""A Docker engine of the tests' own: a private dockerd, a Debian base image made on this machine, and nothing left afterwards."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DOCKER = "/usr/bin/docker"  # Debian's client: BuildKit without a plugin
BASE = "localhost/lighthouse-base:bookworm"
CACHE = Path("/var/tmp/lighthouse-container-tests")
PACKAGES = "ca-certificates,netbase,tzdata,python3.11,python3-pip,python3-venv"
SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
AUTHORITIES = Path("/usr/local/share/ca-certificates")  # of a network that looks into TLS; empty on most machines
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
PASSED_ON = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "http_proxy", "https_proxy", "no_proxy")
START_SECONDS = 30
MEMORY_BYTES = 6 << 30
# What python:3.11-slim looks like to a Dockerfile: `python3`, `pip`, no bytecode, and no packages kept by apt.
HOOKS = (
    'rm -f "$1"/usr/lib/python3.11/EXTERNALLY-MANAGED',
    'for n in python python3 python3.11; do ln -sf /usr/bin/python3.11 "$1"/usr/local/bin/$n; done',
    f'cp {AUTHORITIES}/*.crt "$1"{AUTHORITIES}/ 2>/dev/null || :; chroot "$1" update-ca-certificates >/dev/null 2>&1',
    'rm -f "$1"/var/cache/apt/*.bin; find "$1"/usr/lib/python3* -name __pycache__ -prune -exec rm -r {} +',
)


@dataclass(frozen=True)
class Engine:
    """A running dockerd; every command goes to its own socket."""

    host: str

    def docker(
        self, *arguments: str, timeout: float = 120, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs one docker command to its end; what it printed is in the result, whatever its exit code."""
        environment = {**os.environ, "DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "1", **(env or {})}
        return subprocess.run([DOCKER, *arguments], env=environment, capture_output=True, text=True, timeout=timeout)

    def must(self, *arguments: str, timeout: float = 120) -> str:
        """Standard output of a docker command that has to work."""
        done = self.docker(*arguments, timeout=timeout)
        if done.returncode:
            raise RuntimeError(
                f"docker {shlex.join(arguments)}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        return done.stdout

    def build(self, context: Path, tag: str, log: Path) -> float:
        """Builds the Dockerfile of a folder on the base image and returns the seconds; the log is shown when it fails."""
        begin = time.monotonic()
        command = ["build", "--progress", "plain", "--network", "host", "--build-arg", f"BASE_IMAGE={BASE}", "-t", tag, "."]
        environment = {**os.environ, "DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "1"}
        with log.open("w") as output:
            done = subprocess.run([DOCKER, *command], cwd=context, env=environment, stdout=output, stderr=output, timeout=600)
        if done.returncode:
            raise RuntimeError(f"docker build: exit {done.returncode}\n{log.read_text()[-8000:]}")
        return time.monotonic() - begin

    def layers_with(self, tag: str, needles: list[bytes]) -> set[bytes]:
        """Which of the given texts are anywhere in the image's archive: configuration, history or any file of any layer."""
        environment = {**os.environ, "DOCKER_HOST": self.host}
        longest = max(len(needle) for needle in needles)
        found: set[bytes] = set()
        with subprocess.Popen([DOCKER, "save", tag], env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout
            tail = b""
            while block := process.stdout.read(1 << 22):
                window = tail + block
                found |= {needle for needle in needles if needle in window}
                tail = window[-longest:]
        if process.returncode:
            raise RuntimeError(f"docker save: exit {process.returncode}")
        return found


@contextmanager
def engine(work: Path) -> Iterator[Engine]:
    """A dockerd with its data below `work` and the base image in it; stopped, unmounted and removed at the end."""
    archive = base_archive(work)
    data, run, pid, log = work / "data", work / "exec", work / "dockerd.pid", work / "dockerd.log"
    host = f"unix://{work}/docker.sock"
    _in_memory(data)
    options = ["--storage-driver=overlay2", "--bridge=none", "--iptables=false", "--ip6tables=false"]
    command = ["dockerd", "-H", host, "--data-root", str(data), "--exec-root", str(run), "--pidfile", str(pid), *options]
    with log.open("wb") as output:
        daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    try:
        started = Engine(host)
        _wait(started, daemon, log)
        changes = [
            f"ENV SSL_CERT_FILE={BUNDLE} PIP_CERT={BUNDLE}",
            *(f"ENV {n}={os.environ[n]}" for n in PASSED_ON if n in os.environ),
        ]
        started.must("import", *(part for change in changes for part in ("--change", change)), str(archive), BASE)
        yield started
    finally:
        _stop(daemon)
        _unmount(work)
        for path in (data, run):
            shutil.rmtree(path, ignore_errors=True)


def _in_memory(data: Path) -> None:
    """Layers are many small files, quickest made and removed in memory; on the disk where memory is short."""
    data.mkdir()
    free = int(re.findall(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())[0]) * 1024
    if free > 2 * MEMORY_BYTES:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEMORY_BYTES},mode=0700", "tmpfs", str(data)], check=False)


def _wait(started: Engine, daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while started.docker("info").returncode:
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"dockerd did not start:\n{log.read_text()[-3000:]}")
        time.sleep(0.2)


def _stop(daemon: subprocess.Popen[bytes]) -> None:
    """dockerd stops its containers and its containerd itself; its session is killed only when it does not."""
    daemon.terminate()
    try:
        daemon.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait()


def _unmount(work: Path) -> None:
    """Everything that is still mounted below `work`, innermost first."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in sorted((p for p in points if p.startswith(f"{work}/")), key=len, reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False)


def base_archive(work: Path) -> Path:
    """The base image as a tar file; made once per recipe and package source, and kept in /var/tmp."""
    sources = next((path for path in SOURCES if path.is_file()), None)
    authorities = sorted(AUTHORITIES.glob("*.crt"))
    recipe = [PACKAGES, *HOOKS, sources.read_text() if sources else "", *(path.read_text() for path in authorities)]
    CACHE.mkdir(mode=0o700, exist_ok=True)
    found = CACHE.stat()
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o022:
        raise RuntimeError(f"{CACHE} belongs to somebody else or others can write there: remove it")
    archive = CACHE / f"base-{hashlib.sha256(chr(0).join(recipe).encode()).hexdigest()[:16]}.tar"
    if archive.exists():
        return archive
    making = work / "base.tar"
    excludes = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale")]
    command = [
        *("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={PACKAGES}", "--dpkgopt=force-unsafe-io"),
        *excludes,
        *(f"--customize-hook={hook}" for hook in HOOKS),
        *("bookworm", str(making), *([str(sources)] if sources else [])),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"mmdebstrap: exit {done.returncode}\n{done.stderr[-4000:]}")
    shutil.move(making, archive)
    return archive


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory(prefix="engine-") as name, engine(Path(name)) as up:
        subprocess.run(sys.argv[1:], env={**os.environ, "DOCKER_HOST": up.host, "DOCKER_BUILDKIT": "1"}, check=False)
