"""What the workspace's clients say when a file was not taken, and what that means."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from lakehouse.errors import AccessDenied, WorkspaceError
from lakehouse.stages.base import Answer

_FULL = ("QUOTA_EXCEEDED", "storage is full")
_DENIED = ("PERMISSION_DENIED", "Invalid access token", "Authorization failed")


_MAY_NOT = "The token may not write there: grant its owner WRITE, or check DATABRICKS_TOKEN."


def answer(text: str) -> Answer:
    """The words of the Databricks CLI or SDK, understood: no room and no permission make another try useless."""
    if any(sign in text for sign in _FULL):
        return Answer(text, True, "The storage is full: make room there or choose another LAKEHOUSE_STAGE.")
    if any(sign in text for sign in _DENIED):
        return Answer(text, True, _MAY_NOT)
    return Answer(text)


def send_each(send: Callable[[str], None], paths: Iterable[str], at_once: int) -> Answer:
    """Sends paths, some at once, until an error that the others would meet as well."""
    stopped: list[Answer] = []

    def one(path: str) -> Answer:
        if stopped:
            return Answer()
        try:
            send(path)
        except WorkspaceError as error:
            said = f"{path}: {error.what[:500]}"
            told = Answer(said, True, _MAY_NOT) if isinstance(error, AccessDenied) else answer(said)
            if told.is_final:
                stopped.append(told)
            return told
        return Answer()

    with ThreadPoolExecutor(at_once) as pool:
        return together(pool.map(one, paths))


def together(answers: Iterable[Answer]) -> Answer:
    """Several answers as one: all that was said, and what the first final one advises."""
    said = [each for each in answers if each.text]
    final = next((each for each in said if each.is_final), Answer())
    return Answer("\n".join(each.text for each in said), final.is_final, final.advice)
