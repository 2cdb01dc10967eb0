"""What the workspace's clients say when a file was not taken, and what that means."""

from __future__ import annotations

from collections.abc import Callable

from lakehouse.stages.base import Answer

_FULL = ("QUOTA_EXCEEDED", "storage is full")
_REFUSED = ("Invalid access token", "The access token expired")
_DENIED = ("PERMISSION_DENIED",)
_EITHER = ("Authorization failed",)  # databricks-cli 0.18, whatever a 403 says


def answer(text: str, identity: str, needed: Callable[[], str]) -> Answer:
    """The words of the Databricks CLI or SDK, understood: no room and no permission make another try useless.

    `identity` names what a person checks of it; `needed` asks for what is missing to write there.
    """
    if any(sign in text for sign in _FULL):
        return Answer(text, True, "The storage is full: make room there or choose another LAKEHOUSE_STAGE.")
    if any(sign in text for sign in _REFUSED):
        return Answer(text, True, f"The workspace refused the token: check {identity}.")
    if any(sign in text for sign in _DENIED):
        return Answer(text, True, f"This identity may not write there: {needed()}.")
    if any(sign in text for sign in _EITHER):
        return Answer(text, True, f"Check {identity}. If that is right, this identity may not write there: {needed()}.")
    return Answer(text)
