"""Unity Catalog API 2.1, as far as looking up goes: the catalog `main` with the schema `lighthouse`, as the volumes have them."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.workspace.errors import ApiError, answer

CATALOG, SCHEMA = "main", "lighthouse"


def routes() -> list[Route]:
    """Catalogs and schemas by name: https://docs.databricks.com/api/workspace/schemas/get."""
    return [
        Route("/api/2.1/unity-catalog/catalogs/{name}", _catalog),
        Route("/api/2.1/unity-catalog/schemas/{name}", _schema),
    ]


async def _catalog(request: Request) -> Response:
    name = request.path_params["name"]
    if name != CATALOG:
        raise ApiError(404, "CATALOG_DOES_NOT_EXIST", f"Catalog '{name}' does not exist.")
    return answer({"name": name, "catalog_type": "MANAGED_CATALOG"})


async def _schema(request: Request) -> Response:
    name = request.path_params["name"]
    if name != f"{CATALOG}.{SCHEMA}":
        raise ApiError(404, "SCHEMA_DOES_NOT_EXIST", f"Schema '{name}' does not exist.")
    return answer({"full_name": name, "name": SCHEMA, "catalog_name": CATALOG})
