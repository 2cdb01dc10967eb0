"""What can go wrong, each with the exit code that tells the step.

LakehouseError
├── ConfigError      2    a setting or a command line
├── UploadError      4    a local file or the stage
├── ConvertError     5    the job or what it published
├── VerifyError      6    figures differ
└── WorkspaceError        the workspace's answer; the command that asked gives the exit code
    └── AccessDenied      the token
"""

from __future__ import annotations


class LakehouseError(Exception):
    """A failure with a message for people: what happened, where, what was kept, what to do next."""

    exit_code = 1


class ConfigError(LakehouseError):
    """A setting or a command line; nothing was contacted."""

    exit_code = 2


class UploadError(LakehouseError):
    """A local file, or the way to the stage."""

    exit_code = 4


class ConvertError(LakehouseError):
    """The job failed, or published nothing that can be used."""

    exit_code = 5


class VerifyError(LakehouseError):
    """Figures of source, Parquet and Delta differ."""

    exit_code = 6


class WorkspaceError(LakehouseError):
    """An answer other than success: HTTP status (0: no answer at all), error code and message of the workspace."""

    def __init__(self, what: str, status: int, code: str, message: str) -> None:
        super().__init__(f"{what}: {code} ({status}): {message}" if status else f"{what}: {message}")
        self.status = status
        self.code = code
        self.retry_after = 0.0  # seconds the workspace asked us to wait

    @property
    def missing(self) -> bool:
        """Whether the answer is: there is no such file, folder or run."""
        return self.status == 404 or self.code in ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")


class AccessDenied(WorkspaceError):
    """The workspace refused the token (401 or 403); the token itself is never in the message."""

    def __init__(self, host: str, status: int, message: str) -> None:
        advice = "Check DATABRICKS_TOKEN: it may be mistyped, expired, or lack permission."
        super().__init__(f"{host} refused the token", status, "access denied", f"{message.rstrip('.')}. {advice}")


def final(text: str) -> bool:
    """Whether what a client said makes another try useless: no room, or no permission."""
    signs = ("QUOTA_EXCEEDED", "storage is full", "PERMISSION_DENIED", "Invalid access token", "Authorization failed")
    return any(sign in text for sign in signs)
