"""What a refused request lacks, as a person grants it: SQL to paste where there is SQL for it. docs/security.md has it all.

https://docs.databricks.com/en/data-governance/unity-catalog/manage-privileges/privileges.html
"""

from __future__ import annotations

from urllib.parse import unquote

from lakehouse.settings import Settings

SOMEBODY = "the principal"


def needed(method: str, path: str, settings: Settings, principal: str) -> str:
    """The sentence that settles a 403 on `path`; `principal` is the name that GRANT takes."""
    if path.startswith("/2.0/fs/"):
        return volume(unquote(path.partition("/Volumes/")[2]), principal, writes=method != "GET")
    if path.startswith("/2.0/dbfs/"):
        return dbfs(principal)
    if "/jobs/" in path:
        return _compute(path, settings, principal)
    return f"ask an administrator of the workspace to let {principal} do this"


def volume(path: str, principal: str, writes: bool) -> str:
    """What reading or writing in a volume takes; `path` is `catalog/schema/volume/…`."""
    catalog, schema, name = [*path.split("/"), "", "", ""][:3]
    may, to = "READ VOLUME, WRITE VOLUME" if writes else "READ VOLUME", _quoted(principal)
    grants = [
        f"GRANT USE CATALOG ON CATALOG {_quoted(catalog)} TO {to}",
        f"GRANT USE SCHEMA ON SCHEMA {_quoted(catalog, schema)} TO {to}",
        f"GRANT {may} ON VOLUME {_quoted(catalog, schema, name)} TO {to}",
    ]
    return _run("run", grants, "the owner of the volume")


def dbfs(principal: str) -> str:
    """What DBFS takes. Whether a workspace has a DBFS root at all is a setting of its administrators."""
    first = "set LAKEHOUSE_STAGE to a folder in a volume; or switch on the DBFS root (Settings, Security) and run"
    return _run(first, [f"GRANT SELECT, MODIFY ON ANY FILE TO {_quoted(principal)}"], "an administrator of the workspace")


def _compute(path: str, settings: Settings, principal: str) -> str:
    if not path.endswith("/submit"):
        return f"let {principal} view and manage this job run: CAN MANAGE RUN, in the permissions of the run's page"
    if settings.cluster_id:
        return (
            f"give {principal} CAN RESTART on cluster {settings.cluster_id} (Compute, the cluster, Permissions); "
            "CAN ATTACH TO is enough for one that is always on"
        )
    if settings.new_cluster or not settings.on_volume:
        return f"let {principal} create clusters (Settings, Identity and access: Unrestricted cluster creation), or use a policy"
    return f"have an administrator allow {principal} serverless compute for jobs, or set DATABRICKS_CLUSTER_ID"


def _run(first: str, statements: list[str], who: str) -> str:
    return "\n".join([first, *(f"  {each};" for each in statements), f"as {who}"])


def _quoted(*names: str) -> str:
    return ".".join(f"`{name.replace('`', '``')}`" for name in names)
