"""The head of an answer, read without the email package where all of its lines are plain: a fifth of what a small page costs."""

from __future__ import annotations

import io
import re
from http import client
from types import FunctionType
from typing import Any

_PLAIN = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~]*)\r?\n")  # RFC 9112, 5: ASCII, on one line
_ENDS = (b"\r\n", b"\n", b"")
_MOST_LINES, _LONGEST = 100, 65_536  # those of http.client


def parsed(fp: io.BufferedIOBase, *rest: Any, **options: Any) -> client.HTTPMessage:
    """What http.client.parse_headers makes of the head of an answer; whatever is not plain goes there."""
    lines: list[bytes] = []
    while len(lines) <= _MOST_LINES:
        line = fp.readline(_LONGEST + 1)
        lines.append(line)
        if line in _ENDS or len(line) > _LONGEST:
            break
    found = [_PLAIN.fullmatch(line) for line in lines[:-1]]
    if lines[-1] not in _ENDS[:2] or len(lines) > _MOST_LINES or not all(found):
        whole: client.HTTPMessage = client.parse_headers(io.BytesIO(b"".join(lines)), *rest, **options)
        return whole
    message = client.HTTPMessage()
    for match in found:
        assert match is not None
        message.set_raw(match[1].decode(), match[2].decode())
    return message


class Response(client.HTTPResponse):
    """http.client's, whose `begin` looks up parse_headers among the globals of its module: here it finds ours."""

    begin = FunctionType(client.HTTPResponse.begin.__code__, {**vars(client), "parse_headers": parsed}, "begin")
    begin.__kwdefaults__ = client.HTTPResponse.begin.__kwdefaults__
