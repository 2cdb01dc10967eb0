"""What the workspace's clients say when a file was not taken, and what that means."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from lakehouse.errors import AccessDenied, WorkspaceError
from lakehouse.stages.base import Answer, Stage

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


def created(stage: Stage, path: str, data: bytes, put: Callable[[], None]) -> bool:
    """`Stage.create` by a request that may not replace; it may be ours that is there: of a try whose answer was lost."""
    try:
        put()
    except WorkspaceError as error:
        if not error.is_taken:
            raise
        return stage.find(path) == data
    return True


def send_each(send: Callable[[str], None], paths: Iterable[str], at_once: int, understood: Callable[[str], Answer]) -> Answer:
    """Sends paths, some at once, until an error that the others would meet as well; `understood` is `answer` for this storage."""
    stopped: list[Answer] = []

    def one(path: str) -> Answer:
        if stopped:
            return Answer()
        try:
            send(path)
        except WorkspaceError as error:
            said = f"{path}: {error.what[:500]}"
            denied = Answer(said, True, error.action[:1].upper() + error.action[1:] + ".")
            told = denied if isinstance(error, AccessDenied) else understood(said)
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
