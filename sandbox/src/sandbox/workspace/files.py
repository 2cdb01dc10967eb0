"""Files API for volumes, single-shot and multipart: https://docs.databricks.com/api/workspace/files.

Multipart is what databricks-sdk's `files.upload_from` sends from 50 MiB on: initiate-upload, create-upload-part-urls,
one PUT per part to a presigned URL without credentials, complete-upload; or abort-upload.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from sandbox.workspace.errors import ApiError, answer, invalid
from sandbox.workspace.storage import Storage, modified_ms

PAGE = 1000  # directory entries in one answer unless page_size says otherwise


@dataclass
class _Upload:
    path: str
    folder: Path
    signature: str
    etags: dict[int, str] = field(default_factory=dict)


class Files:
    """Files and directories under `/Volumes/catalog/schema/volume/`."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._uploads: dict[str, _Upload] = {}

    def routes(self) -> list[Route]:
        """All paths below /api/2.0/fs, and the presigned URLs."""
        return [
            Route("/api/2.0/fs/files{path:path}", self.file, methods=["GET", "HEAD", "PUT", "DELETE", "POST"]),
            Route("/api/2.0/fs/directories{path:path}", self.directory, methods=["GET", "HEAD", "PUT", "DELETE"]),
            Route("/api/2.0/fs/create-upload-part-urls", self.part_urls, methods=["POST"]),
            Route("/presigned/{token}/{number:int}", self.part, methods=["PUT"]),
        ]

    async def file(self, request: Request) -> Response:
        """GET, HEAD, PUT, DELETE of a file; POST for multipart."""
        path = request.path_params["path"]
        local = self._storage.volume(path)
        if request.method == "PUT":
            return await self._put(request, path, local)
        if request.method == "POST":
            return await self._multipart(request, path, local)
        if not local.is_file():
            raise ApiError(404, "NOT_FOUND", f"The file being accessed is not found: {path}")
        if request.method == "DELETE":
            local.unlink()
            return Response(status_code=204)
        if request.method == "HEAD":
            head = {
                "content-length": str(local.stat().st_size),
                "last-modified": formatdate(local.stat().st_mtime, usegmt=True),
            }
            return Response(headers=head | {"content-type": "application/octet-stream"})
        return FileResponse(local, media_type="application/octet-stream")

    async def directory(self, request: Request) -> Response:
        """GET (list), HEAD, PUT, DELETE of a directory."""
        path = request.path_params["path"]
        local = self._storage.volume(path)
        if request.method == "PUT":
            try:
                local.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                raise ApiError(409, "ALREADY_EXISTS", f"A file exists at {path}") from None
            return Response(status_code=204)
        if not local.is_dir():
            raise ApiError(404, "NOT_FOUND", f"The directory being accessed is not found: {path}")
        if request.method == "HEAD":
            return Response(status_code=200)
        if request.method == "DELETE":
            if any(local.iterdir()):
                raise ApiError(400, "FILES_API_DIRECTORY_IS_NOT_EMPTY", f"The directory is not empty: {path}")
            local.rmdir()
            return Response(status_code=204)
        size = int(request.query_params.get("page_size") or PAGE)
        start = int(request.query_params.get("page_token") or 0)
        entries = sorted(local.iterdir())
        body: dict[str, Any] = {"contents": [_entry(path, each) for each in entries[start : start + size]]}
        if start + size < len(entries):
            body["next_page_token"] = str(start + size)
        return answer(body)

    async def _put(self, request: Request, path: str, local: Path) -> Response:
        self._may_write(request, path, local)
        hidden = self._storage.incoming()
        await _receive(request, hidden)
        await run_in_threadpool(self._publish, hidden, local)
        return Response(status_code=204)

    async def _multipart(self, request: Request, path: str, local: Path) -> Response:
        action = request.query_params.get("action")
        if action == "initiate-upload":
            self._may_write(request, path, local)
            token = secrets.token_urlsafe(16)
            folder = self._storage.incoming()
            folder.mkdir()
            self._uploads[token] = _Upload(path, folder, secrets.token_urlsafe(16))
            return answer({"multipart_upload": {"session_token": token}})
        upload = self._session(request.query_params.get("session_token"))
        if action == "abort-upload":
            shutil.rmtree(upload.folder, ignore_errors=True)
            self._uploads.pop(request.query_params["session_token"], None)
            return answer({})
        if action != "complete-upload":
            raise invalid(f"Unknown action: {action}")
        parts = msgspec.json.decode(await request.body(), type=dict[str, Any])["parts"]
        numbers = [part["part_number"] for part in parts]
        if numbers != list(range(1, len(upload.etags) + 1)) or any(upload.etags[p["part_number"]] != p["etag"] for p in parts):
            raise invalid("The parts of the upload are not the parts that were sent.")
        await run_in_threadpool(self._join, upload, len(parts), local)
        self._uploads.pop(request.query_params["session_token"], None)
        return answer({})

    async def part_urls(self, request: Request) -> Response:
        """Presigned URLs for parts of an upload."""
        body = msgspec.json.decode(await request.body(), type=dict[str, Any])
        upload = self._session(body.get("session_token"))
        first, count = int(body["start_part_number"]), int(body["count"])
        base = f"{request.url.scheme}://{request.headers['host']}/presigned/{quote(body['session_token'])}"
        urls = [{"url": f"{base}/{number}?signature={upload.signature}", "part_number": number, "headers": []}
                for number in range(first, first + count)]  # fmt: skip
        return answer({"upload_part_urls": urls})

    async def part(self, request: Request) -> Response:
        """One part, as cloud storage takes it: the URL is the permission."""
        upload = self._uploads.get(request.path_params["token"])
        if upload is None or request.query_params.get("signature") != upload.signature:
            return Response("<Error><Code>AccessDenied</Code></Error>", 403, media_type="application/xml")
        number = request.path_params["number"]
        etag = await _receive(request, upload.folder / str(number))
        upload.etags[number] = etag
        return Response(status_code=200, headers={"ETag": etag})

    def _may_write(self, request: Request, path: str, local: Path) -> None:
        if local.is_dir():
            raise invalid(f"A directory exists at {path}")
        if local.exists() and request.query_params.get("overwrite", "").lower() != "true":
            raise ApiError(409, "ALREADY_EXISTS", f"The file being created already exists: {path}")

    def _session(self, token: str | None) -> _Upload:
        upload = self._uploads.get(token or "")
        if upload is None:
            raise ApiError(404, "NOT_FOUND", "The upload session does not exist.")
        return upload

    def _join(self, upload: _Upload, parts: int, local: Path) -> None:
        whole = self._storage.incoming()
        with whole.open("wb") as out:
            for number in range(1, parts + 1):
                with (upload.folder / str(number)).open("rb") as part:
                    shutil.copyfileobj(part, out, 1 << 20)
        shutil.rmtree(upload.folder)
        self._publish(whole, local)

    def _publish(self, hidden: Path, local: Path) -> None:
        try:
            self._storage.make_room(hidden.stat().st_size)
        except ApiError:
            hidden.unlink()
            raise
        local.parent.mkdir(parents=True, exist_ok=True)
        hidden.replace(local)


async def _receive(request: Request, target: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with target.open("wb") as out:
        async for chunk in request.stream():
            out.write(chunk)
            digest.update(chunk)
    return f'"{digest.hexdigest()}"'


def _entry(folder: str, local: Path) -> dict[str, Any]:
    entry = {"path": f"{folder.rstrip('/')}/{local.name}", "name": local.name, "is_directory": local.is_dir()}
    return entry | {"file_size": 0 if local.is_dir() else local.stat().st_size, "last_modified": modified_ms(local)}
