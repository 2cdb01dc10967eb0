"""The error body every workspace API answers with: `{"error_code": …, "message": …}`."""

from __future__ import annotations

import msgspec
from starlette.responses import Response


class ApiError(Exception):
    """An answer other than 200: HTTP status, the API's error code, and a message for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def response(self) -> Response:
        """The error as an HTTP answer."""
        return answer({"error_code": self.code, "message": self.message}, self.status)


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(body), status, headers, media_type="application/json")


def missing(path: str) -> ApiError:
    """404: nothing at this path."""
    return ApiError(404, "RESOURCE_DOES_NOT_EXIST", f"No file or directory exists on path {path}.")


def exists(path: str) -> ApiError:
    """400: something is there already."""
    return ApiError(400, "RESOURCE_ALREADY_EXISTS", f"A file or directory already exists at the input path {path}.")


def invalid(message: str) -> ApiError:
    """400: an invalid parameter."""
    return ApiError(400, "INVALID_PARAMETER_VALUE", message)
