"""Bodies of requests that come from a file, 1 MiB at a time: `requests` would read the whole file into memory for a form.

Each can be iterated again, so that a request can be repeated.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

BLOCK = 1 << 20  # bytes in memory at a time


class FileBody:
    """A file's bytes between `head` and `tail`."""

    def __init__(self, file: Path, head: bytes = b"", tail: bytes = b"") -> None:
        self._file, self._head, self._tail = file, head, tail

    def __len__(self) -> int:
        return len(self._head) + self._file.stat().st_size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        if self._head:
            yield self._head
        with self._file.open("rb", buffering=0) as file:
            while block := file.read(BLOCK):
                yield block
        if self._tail:
            yield self._tail


def form(fields: Mapping[str, str], file: Path) -> tuple[FileBody, str]:
    """A multipart form (RFC 7578) of text fields and one `file`, and its content type."""
    boundary = uuid.uuid4().hex
    part = f'--{boundary}\r\nContent-Disposition: form-data; name="'
    head = "".join(f'{part}{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
    head += f'{part}file"; filename="file"\r\n\r\n'
    return FileBody(file, head.encode(), f"\r\n--{boundary}--\r\n".encode()), f"multipart/form-data; boundary={boundary}"
