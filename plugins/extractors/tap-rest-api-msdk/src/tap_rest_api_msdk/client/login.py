"""What every login can do."""

from __future__ import annotations

from typing import Protocol


class Auth(Protocol):
    """A login. `settings` names what a person checks when it is refused."""

    @property
    def settings(self) -> str:
        """The settings it is made of, in words."""

    def sign(self, url: str, headers: dict[str, str], body: bytes | None) -> None:
        """Adds to the headers of a GET what shows who asks. Raises CredentialsRefused or ApiUnavailable where it must be got."""

    def renew(self) -> bool:
        """Whether another try may be accepted where this one was refused with 401."""
