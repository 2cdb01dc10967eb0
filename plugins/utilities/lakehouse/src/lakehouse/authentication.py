"""Which identity the settings mean, by the rules of Databricks unified authentication. Pure functions over the settings' values.

https://docs.databricks.com/en/dev-tools/auth/unified-auth.html, and `Config` of databricks-sdk: a profile, or what is set in the
environment; several identities at once are refused unless DATABRICKS_AUTH_TYPE chooses one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

AuthType = Literal[
    "",
    "pat",
    "oauth-m2m",
    "azure-client-secret",
    "google-credentials",
    "google-id",
    "env-oidc",
    "file-oidc",
    "github-oidc",
    "github-oidc-azure",
    "azure-devops-oidc",
    "azure-cli",
    "databricks-cli",
    "metadata-service",
    "basic",
]
VARIABLES = {
    "host": "DATABRICKS_HOST",
    "auth_type": "DATABRICKS_AUTH_TYPE",
    "token": "DATABRICKS_TOKEN",
    "client_id": "DATABRICKS_CLIENT_ID",
    "client_secret": "DATABRICKS_CLIENT_SECRET",
    "profile": "DATABRICKS_CONFIG_PROFILE",
    "config_file": "DATABRICKS_CONFIG_FILE",
    "azure_client_id": "ARM_CLIENT_ID",
    "azure_client_secret": "ARM_CLIENT_SECRET",
    "azure_tenant_id": "ARM_TENANT_ID",
    "azure_resource_id": "DATABRICKS_AZURE_RESOURCE_ID",
    "google_service_account": "DATABRICKS_GOOGLE_SERVICE_ACCOUNT",
    "google_credentials": "GOOGLE_CREDENTIALS",
}
PAT, M2M, PROFILE = "pat", "oauth-m2m", "profile"
_PROOFS = {  # the setting whose presence means an identity, in the order in which databricks-sdk tries them
    "token": PAT,
    "client_secret": M2M,
    "azure_client_secret": "azure-client-secret",
    "google_credentials": "google-credentials",
    "google_service_account": "google-id",
}
_NEEDS = {
    PAT: ("token",),
    M2M: ("client_id", "client_secret"),
    "azure-client-secret": ("azure_client_id", "azure_client_secret"),
    "google-credentials": ("google_credentials",),
    "google-id": ("google_service_account",),
}


def chosen(values: Mapping[str, Any]) -> str:
    """The authentication type that the values mean, `profile` for one of the configuration file, "" for none."""
    if values.get("profile"):
        return PROFILE
    if values.get("auth_type"):
        return str(values["auth_type"])
    found = [kind for setting, kind in _PROOFS.items() if values.get(setting)]
    return found[0] if found else M2M if values.get("client_id") else ""


def problems(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is missing for the identity that is meant, or that two are meant: variable and what is wrong."""
    kind = chosen(values)
    if not values.get("host") and "host" in values and kind != PROFILE and not values.get("azure_resource_id"):
        yield VARIABLES["host"], "is missing"
    if kind == PROFILE:
        return
    given = [setting for setting in _PROOFS if values.get(setting)]
    if len(given) > 1 and not values.get("auth_type"):
        names = " and ".join(VARIABLES[setting] for setting in given)
        yield (
            VARIABLES["auth_type"],
            f"is missing: {names} are set, and each is an identity of its own; name the one to use, or unset the others",
        )
        return
    if not kind:
        if "token" in values:
            yield (
                VARIABLES["token"],
                "is missing: set it, or DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET of a service principal; "
                "docs/security.md lists the other identities",
            )
        return
    for setting in _NEEDS.get(kind, ()):
        if setting in values and not values[setting]:
            yield VARIABLES[setting], f"is missing: authentication with {kind} needs it"
