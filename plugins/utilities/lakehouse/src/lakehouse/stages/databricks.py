"""What the workspace's clients say when a file was not taken, and what that means."""

from __future__ import annotations

from lakehouse.stages.base import Answer

_FULL = ("QUOTA_EXCEEDED", "storage is full")
_DENIED = ("PERMISSION_DENIED", "Invalid access token", "Authorization failed")


def answer(text: str) -> Answer:
    """The words of the Databricks CLI or SDK, understood: no room and no permission make another try useless."""
    if any(sign in text for sign in _FULL):
        return Answer(text, True, "The storage is full: make room there or choose another LAKEHOUSE_STAGE.")
    if any(sign in text for sign in _DENIED):
        return Answer(text, True, "The token may not write there: grant its owner WRITE, or check DATABRICKS_TOKEN.")
    return Answer(text)
