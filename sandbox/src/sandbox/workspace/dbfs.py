"""DBFS API 2.0: https://docs.databricks.com/api/workspace/dbfs."""

from __future__ import annotations

import base64
import binascii
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.workspace.errors import ApiError, answer, exists, invalid, missing
from sandbox.workspace.storage import Storage, modified_ms

BLOCK = 1 << 20  # bytes in one block, one read and one JSON put


class Dbfs:
    """The file system `dbfs:/`. Handles of `create` live in memory, as sessions do."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._handles: dict[int, Path] = {}
        self._next = itertools.count(1)

    def routes(self) -> list[Route]:
        """All paths below /api/2.0/dbfs."""
        gets = {"get-status": self.get_status, "list": self.list, "read": self.read}
        posts = {"create": self.create, "add-block": self.add_block, "close": self.close}
        posts |= {"mkdirs": self.mkdirs, "move": self.move, "delete": self.delete}
        routes = [Route(f"/api/2.0/dbfs/{name}", _get(call), methods=["GET"]) for name, call in gets.items()]
        routes += [Route(f"/api/2.0/dbfs/{name}", _post(call), methods=["POST"]) for name, call in posts.items()]
        return [*routes, Route("/api/2.0/dbfs/put", self.put, methods=["POST"])]

    def get_status(self, query: dict[str, Any]) -> dict[str, Any]:
        """One file or folder."""
        local = self._storage.dbfs(query.get("path"))
        if not local.exists():
            raise missing(query["path"])
        return self._info(local)

    def list(self, query: dict[str, Any]) -> dict[str, Any]:
        """A folder's entries, or the file itself."""
        local = self._storage.dbfs(query.get("path"))
        if not local.exists():
            raise missing(query["path"])
        if local.is_file():
            return {"files": [self._info(local)]}
        found = [self._info(entry) for entry in sorted(local.iterdir())]
        return {"files": found} if found else {}

    def read(self, query: dict[str, Any]) -> dict[str, Any]:
        """At most 1 MB from an offset, base64."""
        local = self._storage.dbfs(query.get("path"))
        offset, length = _number(query, "offset", 0), _number(query, "length", BLOCK // 2)
        if not local.exists():
            raise missing(query["path"])
        if local.is_dir():
            raise invalid(f"Cannot read {query['path']}: it is a directory.")
        if length > BLOCK:
            raise ApiError(400, "MAX_READ_SIZE_EXCEEDED", f"The read length {length} exceeds the limit of {BLOCK} bytes.")
        with local.open("rb") as file:
            file.seek(offset)
            data = file.read(length)
        return {"bytes_read": len(data), "data": base64.b64encode(data).decode()}

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """A stream to write blocks to."""
        local = self._target(body.get("path"), body.get("overwrite"))
        local.write_bytes(b"")  # visible at once, and short until closed: so is the real one's
        handle = next(self._next)
        self._handles[handle] = local
        return {"handle": handle}

    def add_block(self, body: dict[str, Any]) -> dict[str, Any]:
        """One block of at most 1 MB, base64."""
        local = self._opened(body)
        data = _decoded(body.get("data"))
        if len(data) > BLOCK:
            raise ApiError(400, "MAX_BLOCK_SIZE_EXCEEDED", f"The block of {len(data)} bytes exceeds {BLOCK} bytes.")
        self._storage.make_room(len(data))
        with local.open("ab") as file:
            file.write(data)
        return {}

    def close(self, body: dict[str, Any]) -> dict[str, Any]:
        """Ends a stream."""
        self._opened(body)
        del self._handles[body["handle"]]
        return {}

    def mkdirs(self, body: dict[str, Any]) -> dict[str, Any]:
        """A folder and its parents."""
        local = self._storage.dbfs(body.get("path"))
        try:
            local.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise exists(body["path"]) from None
        return {}

    def move(self, body: dict[str, Any]) -> dict[str, Any]:
        """Renames; never over something."""
        source = self._storage.dbfs(body.get("source_path"))
        target = self._storage.dbfs(body.get("destination_path"))
        if not source.exists():
            raise missing(body["source_path"])
        if target.exists():
            raise exists(body["destination_path"])
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        return {}

    def delete(self, body: dict[str, Any]) -> dict[str, Any]:
        """A file, or a folder; recursively where asked."""
        local = self._storage.dbfs(body.get("path"))
        if local.is_dir():
            if any(local.iterdir()) and not body.get("recursive"):
                raise ApiError(400, "IO_ERROR", f"Directory {body['path']} is not empty; use recursive=true to delete it.")
            shutil.rmtree(local)
        elif local.exists():
            local.unlink()
        return {}  # the real one says nothing about a path that is not there

    async def put(self, request: Request) -> Response:
        """One file: JSON with base64 contents (at most 1 MB), or multipart/form-data with a `file` of any size."""
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            async with request.form() as form:
                upload = form.get("file") or form.get("contents")
                if upload is None or isinstance(upload, str):
                    raise invalid("Missing required field: file")
                overwrite = str(form.get("overwrite", "")).lower() == "true"
                await run_in_threadpool(self._write, form.get("path"), overwrite, upload.file, upload.size or 0)
            return answer({})
        body = msgspec.json.decode(await request.body(), type=dict[str, Any])
        data = _decoded(body.get("contents", ""))
        if len(data) > BLOCK:
            raise ApiError(400, "MAX_BLOCK_SIZE_EXCEEDED", f"The contents exceed {BLOCK} bytes; use streaming upload.")
        target = self._target(body.get("path"), body.get("overwrite"))
        self._storage.make_room(len(data))
        target.write_bytes(data)
        return answer({})

    def _write(self, path: object, overwrite: bool, file: Any, size: int) -> None:
        target = self._target(path, overwrite)
        self._storage.make_room(size)
        hidden = self._storage.incoming()
        with hidden.open("wb") as out:
            shutil.copyfileobj(file, out, BLOCK)
        hidden.replace(target)

    def _target(self, path: object, overwrite: object) -> Path:
        local = self._storage.dbfs(path)
        if local.is_dir() or (local.exists() and not overwrite):
            raise exists(str(path))
        try:
            local.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise exists(str(path)) from None
        return local

    def _opened(self, body: dict[str, Any]) -> Path:
        handle = body.get("handle")
        if not isinstance(handle, int) or handle not in self._handles:
            raise ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"No stream exists with handle {handle}.")
        return self._handles[handle]

    def _info(self, local: Path) -> dict[str, Any]:
        path = "/" + local.relative_to(self._storage.root / "dbfs").as_posix()
        size = 0 if local.is_dir() else local.stat().st_size
        path = "/" if path == "/." else path
        return {"path": path, "is_dir": local.is_dir(), "file_size": size, "modification_time": modified_ms(local)}


def _number(query: dict[str, Any], name: str, default: int) -> int:
    try:
        value = int(query.get(name, default))
    except ValueError:
        raise invalid(f"{name} must be a number, not {query[name]}") from None
    if value < 0:
        raise invalid(f"{name} must not be negative")
    return value


def _decoded(data: object) -> bytes:
    try:
        return base64.b64decode(str(data), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("The data is not valid base64.") from None


_Call = Callable[[dict[str, Any]], dict[str, Any]]


def _get(call: _Call) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        return answer(await run_in_threadpool(call, dict(request.query_params)))

    return endpoint


def _post(call: _Call) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        body = msgspec.json.decode(await request.body() or b"{}", type=dict[str, Any])
        return answer(await run_in_threadpool(call, body))

    return endpoint
