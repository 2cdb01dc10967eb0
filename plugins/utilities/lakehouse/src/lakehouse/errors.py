"""What can go wrong, each with the exit code that tells the step.

LakehouseError
├── UploadError      4    a local file, or the way to the stage
├── ConvertError     5    the job, or what it published
│   └── TargetBusy   7    another run or job writes into the target
├── VerifyError      6    figures differ
├── IdentityRefused  2    the identity of the settings cannot be used
├── DropRefused      2    a load that cannot be dropped
└── WorkspaceError        the workspace's answer; the command that asked gives the exit code
    └── AccessDenied 2    the workspace refused the token
        └── PermissionMissing    it took the token, and its owner may not do this
"""

from __future__ import annotations

from typing import ClassVar

from singer_arrow.errors import Failure
from singer_arrow.exits import Exit


class LakehouseError(Failure):
    """Base of this package's errors."""

    SAFE = "Delta holds whole loads only"

    exit_code: ClassVar[Exit | None] = None  # None: the code of the command that failed


class UploadError(LakehouseError):
    """A local file, or the way to the stage."""

    SAFE = "Nothing was sent"
    ACTION = "run the extraction again"
    exit_code = Exit.UPLOAD


class ConvertError(LakehouseError):
    """The job failed, or published nothing that can be used."""

    ACTION = "run convert again"
    exit_code = Exit.CONVERT


class TargetBusy(ConvertError):
    """Another run, or another job, holds its lease on the target."""

    ACTION = "wait until it has ended, and convert again"
    exit_code = Exit.LOCKED


class VerifyError(LakehouseError):
    """Figures of source, Parquet and Delta differ."""

    ACTION = "run upload and convert"
    exit_code = Exit.VERIFY


class IdentityRefused(LakehouseError):
    """The identity of the settings cannot be used: a profile that is not there, an Azure or Google login that fails."""

    SAFE = "Nothing was asked of the workspace"
    ACTION = "correct the variables of this identity; docs/security.md lists them"
    exit_code = Exit.CONFIGURATION


class DropRefused(LakehouseError):
    """A load that is unknown, not named exactly, or in the ledger."""

    SAFE = "Nothing was removed"
    ACTION = "type: entrypoint.sh loads, which lists every load with its id and state"
    exit_code = Exit.CONFIGURATION


class WorkspaceError(LakehouseError):
    """An answer other than success: HTTP status (0: no answer at all), error code and message of the workspace.

    `retry_after_s` is how long the workspace asked us to wait, in seconds.
    """

    SAFE = "Delta holds whole loads only, and every step can be repeated"
    ACTION = "run again; if it stays so, look into the workspace"

    def __init__(self, what: str, status: int, code: str, message: str, retry_after_s: float = 0.0, action: str = "") -> None:
        super().__init__(f"{what}: {code} ({status}): {message}" if status else f"{what}: {message}", action=action)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s

    @property
    def is_missing(self) -> bool:
        """Whether the answer is: there is no such file, folder or run."""
        return self.status == 404 or self.code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")

    @property
    def is_taken(self) -> bool:
        """Whether the answer is: there is such a file already."""
        return self.code in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS")


class AccessDenied(WorkspaceError):
    """The workspace refused the token (401 or 403); the token itself is never in the message."""

    SAFE = "Nothing was changed by this request"
    ACTION = "check DATABRICKS_TOKEN: it may be mistyped or expired, or lack a permission"
    exit_code = Exit.CONFIGURATION

    def __init__(self, host: str, status: int, message: str, action: str = "") -> None:
        super().__init__(f"{host} refused the token", status, "access denied", message, action=action)


class PermissionMissing(AccessDenied):
    """The workspace knows the token's owner, who may not do this (403); `needed` says what settles it."""

    ACTION = "grant what is missing; docs/security.md lists what each step needs"

    def __init__(self, what: str, code: str, message: str, needed: str) -> None:
        WorkspaceError.__init__(self, what, 403, code, message, action=needed)
