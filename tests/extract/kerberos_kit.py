"""A Kerberos realm on this machine: MIT's KDC on a free port of loopback, without root, in a folder of its own."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REALM = "EXAMPLE.TEST"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # Debian's programs of the KDC are not on everybody's
CLIENT = """\
[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
rdns = false
udp_preference_limit = 1
[realms]
{realm} = {{
  kdc = 127.0.0.1:{port}
}}
"""
SERVER = """\
[kdcdefaults]
kdc_listen = ""
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{realm} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
  supported_enctypes = aes256-cts-hmac-sha1-96:normal
}}
[logging]
kdc = FILE:{folder}/kdc.log
"""


@dataclass(frozen=True)
class Realm:
    """A running KDC and its files."""

    folder: Path

    @property
    def client(self) -> Path:
        """The krb5.conf of who logs in."""
        return self.folder / "krb5.conf"

    @property
    def environment(self) -> dict[str, str]:
        """For programs of Kerberos, and for a service that takes tickets."""
        kdc = {"KRB5_CONFIG": str(self.client), "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf")}
        return {**os.environ, **kdc, "PATH": PATH}

    def run(self, *command: str) -> None:
        """A program of Kerberos. Raises RuntimeError with what it said."""
        done = subprocess.run(command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")

    def add(self, *principals: str) -> None:
        """Principals with random keys."""
        for principal in principals:
            self.run("kadmin.local", "-r", REALM, "addprinc", "-randkey", "+requires_preauth", principal)

    def change(self, *query: str) -> None:
        """What an administrator does."""
        self.run("kadmin.local", "-r", REALM, *query)

    def keytab(self, principal: str, name: str = "") -> Path:
        """The principal's key, added to a file."""
        path = self.folder / f"{name or principal}.keytab"
        self.run("kadmin.local", "-r", REALM, "ktadd", "-norandkey", "-k", str(path), principal)
        return path

    def tickets(self, principal: str, *options: str) -> Path:
        """A cache with a ticket, as kinit leaves it."""
        path = self.folder / f"{principal}{''.join(options)}.cache"
        self.run("kinit", "-c", str(path), *options, "-k", "-t", str(self.keytab(principal)), principal)
        return path


@contextmanager
def realm(folder: Path) -> Iterator[Realm]:
    """A realm with a KDC that answers, until the block ends. Raises RuntimeError where it does not start."""
    made = Realm(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        names = {"realm": REALM, "folder": folder, "port": free.getsockname()[1]}
    made.client.write_text(CLIENT.format_map(names))
    (folder / "kdc.conf").write_text(SERVER.format_map(names))
    made.run("kdb5_util", "-r", REALM, "-P", "of a test", "create", "-s")
    # In the foreground it says that it starts once its port is open.
    kdc = subprocess.Popen(["krb5kdc", "-n"], env=made.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert kdc.stderr is not None
    try:
        if "starting" not in (said := kdc.stderr.readline()):
            raise RuntimeError(f"krb5kdc: {said}{kdc.stderr.read()}")
        yield made
    finally:
        kdc.terminate()
        kdc.wait(10)
        kdc.stderr.close()
