"""The image logs in by Kerberos, by the command of docs/how-to-log-in-with-kerberos.md."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from image_kit import ROOT, TAG, Image, mounted, write_env
from kerberos_kit import realm

from sandbox.launch import counterpart

pytestmark = [pytest.mark.container, pytest.mark.kerberos, pytest.mark.timeout(900)]
SPN = "MSSQLSvc/db.corp.example.com:1433"
OWNER = 10001  # the image's user


def test_a_keytab_and_a_krb5_conf_are_enough_for_a_login_by_kerberos(
    image: Image, variables: dict[str, str], work: Path, tmp_path: Path
) -> None:
    [line] = re.findall(r"^ *(docker run .*)$", (ROOT / "docs/how-to-log-in-with-kerberos.md").read_text(), re.MULTILINE)
    with realm(tmp_path) as domain:
        domain.add(SPN, "lighthouse")
        options = ("--keytab", str(domain.keytab(SPN, "server")), "--windows-login", r"EXAMPLE\lighthouse")
        with counterpart("sqlserver", tmp_path / "server", "--scale", "0.001", *options) as server:
            keytab = shutil.copy(domain.keytab("lighthouse"), work / "lighthouse.keytab")
            Path(keytab).chmod(0o600)
            shutil.chown(keytab, OWNER)
            shutil.copy(domain.client, work / "krb5.conf")
            (work / "krb5.conf").chmod(0o644)
            here = shutil.copy(str(server.facts["ca_file"]), work / "kerberos.pem")
            Path(here).chmod(0o644)
            own = {
                "TAP_MSSQL_AUTHENTICATION": "kerberos", "TAP_MSSQL_SERVER_SPN": SPN, "TAP_MSSQL_PORT": str(server.facts["port"]),
                "TAP_MSSQL_SERVER_CERTIFICATE": "/run/kerberos.pem",
                "KRB5_CLIENT_KTNAME": "/run/lighthouse.keytab", "KRB5CCNAME": "MEMORY:",
            }  # fmt: skip
            left_out = ("TAP_MSSQL_USER", "TAP_MSSQL_PASSWORD")
            write_env(work / "kerberos.env", {k: v for k, v in (variables | own).items() if k not in left_out})
            words = shlex.split(line.replace("$PWD", str(work)).replace("--env-file .env", f"--env-file {work}/kerberos.env"))
            assert words[-2:] == ["lighthouse-ingestion-pipeline", "doctor"]
            more = ("--network", "host", *mounted(work), "-v", f"{here}:/run/kerberos.pem:ro")
            done = image.run(*more, *words[2:-2], TAG, "doctor")
    assert re.search(r"^ok +login +as EXAMPLE\\lighthouse, by Kerberos$", done.stdout, re.MULTILINE), done.stdout + done.stderr
