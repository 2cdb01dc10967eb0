"""Who the workspace sees: headers for each request, a token for the CLI, a configuration for databricks-sdk.

A personal access token and an OAuth service principal need requests alone. Every other identity is databricks-sdk's own, which is
imported only then: that takes 2.4 CPU seconds.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import requests

from lakehouse.authentication import M2M, PAT, PROFILE, VARIABLES
from lakehouse.errors import AccessDenied, IdentityRefused
from lakehouse.settings import Settings
from lakehouse.workspace import answers

if TYPE_CHECKING:
    from databricks.sdk.core import Config

MARGIN_S = 120.0  # before its end a token is not used any more; of short-lived ones, half their life
TIMEOUTS_S = (10, 60)  # to connect, and between two bytes


class Identity(ABC):
    """One identity. `settled_by` names the variables that a person checks when the workspace refuses it."""

    settled_by: str

    @property
    @abstractmethod
    def host(self) -> str:
        """Scheme, name and port of the workspace."""

    @abstractmethod
    def headers(self) -> dict[str, str]:
        """The headers that authenticate a request sent now. Raises WorkspaceError or IdentityRefused where there are none."""

    def renew(self) -> bool:
        """Forgets the token, which the workspace refused; whether the next `headers` have another one."""
        return False

    def bearer(self) -> str:
        """The token that the next requests show. Raises IdentityRefused for an identity that has none."""
        kind, _, token = self.headers().get("Authorization", "").partition(" ")
        if kind != "Bearer":
            raise IdentityRefused(
                f"the Databricks CLI cannot use this identity ({self.settled_by}), which has no token",
                action="use a service principal (DATABRICKS_CLIENT_ID), or a LAKEHOUSE_STAGE in a volume",
            )
        return token

    def sdk_config(self) -> Config:
        """A configuration of databricks-sdk with this identity."""
        from databricks.sdk.core import Config
        from databricks.sdk.credentials_provider import CredentialsProvider, CredentialsStrategy

        identity = self

        class Ours(CredentialsStrategy):
            def auth_type(self) -> str:
                return "lakehouse"

            def __call__(self, cfg: Config) -> CredentialsProvider:
                return identity.headers

        return Config(host=self.host, credentials_strategy=Ours(), auth_type="lakehouse")


class PersonalToken(Identity):
    """A personal access token."""

    settled_by = "DATABRICKS_TOKEN"

    def __init__(self, settings: Settings) -> None:
        self._host = settings.host
        self._token = settings.token.reveal()

    @property
    def host(self) -> str:
        """The setting."""
        return self._host

    def headers(self) -> dict[str, str]:
        """Always the same."""
        return {"Authorization": f"Bearer {self._token}"}


class ServicePrincipal(Identity):
    """OAuth for machines: client id and secret buy a token of an hour, at `/oidc/v1/token` of the workspace."""

    settled_by = "DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET"

    def __init__(self, settings: Settings) -> None:
        self._host = settings.host
        self._login = (settings.client_id, settings.client_secret.reveal())
        self._lock = threading.Lock()
        self._token, self._good_until = "", 0.0

    @property
    def host(self) -> str:
        """The setting."""
        return self._host

    def headers(self) -> dict[str, str]:
        """The token at hand, or a new one shortly before it ends."""
        with self._lock:
            if not self._token or time.monotonic() > self._good_until:
                self._buy()
            return {"Authorization": f"Bearer {self._token}"}

    def renew(self) -> bool:
        """A refused token may have been revoked: another one is worth a try."""
        with self._lock:
            self._token = ""
        return True

    def _buy(self) -> None:
        what, form = f"POST {self._host}/oidc/v1/token", {"grant_type": "client_credentials", "scope": "all-apis"}
        try:
            answer = requests.post(f"{self._host}/oidc/v1/token", data=form, auth=self._login, timeout=TIMEOUTS_S)
            told: dict[str, Any] = answer.json() if answer.ok else {}
        except requests.exceptions.JSONDecodeError:
            raise answers.broken(what) from None
        except requests.RequestException as error:
            raise answers.no_answer(what, error) from None
        if answer.status_code in (400, 401, 403):
            message = answers.code_and_message(answer)[1]
            raise AccessDenied(self._host, answer.status_code, message, f"check {self.settled_by}: the secret may have expired")
        if not answer.ok:
            raise answers.failure(what, answer)
        life = float(told.get("expires_in") or 0)
        self._token, self._good_until = str(told["access_token"]), time.monotonic() + life - min(MARGIN_S, life / 2)


class SdkIdentity(Identity):
    """What databricks-sdk makes of the settings and of its own variables: a profile, Azure, Google, workload identities."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        profile = settings.identity == PROFILE
        self.settled_by = f"profile {settings.profile}" if profile else f"authentication with {settings.identity}"
        self._made: Config | None = None

    @property
    def host(self) -> str:
        """The setting, or what the profile or Azure says."""
        return str(self.sdk_config().host).rstrip("/")

    def headers(self) -> dict[str, str]:
        """From the SDK, which renews tokens by itself."""
        try:
            return dict(self.sdk_config().authenticate())
        except (ValueError, OSError) as error:
            raise self._refused(error) from None

    def renew(self) -> bool:
        """Begins anew, unless the token is a fixed one."""
        fixed = self._made is not None and self._made.auth_type == PAT
        self._made = None
        return not fixed

    def sdk_config(self) -> Config:
        """Made once. Raises IdentityRefused with the SDK's words."""
        if self._made is None:
            from databricks.sdk.core import Config

            names = {name: name for name in VARIABLES} | {"azure_resource_id": "azure_workspace_resource_id"}
            given = {theirs: getattr(self._settings, ours) for ours, theirs in names.items()}
            texts: dict[str, Any] = {
                name: value.reveal() if hasattr(value, "reveal") else str(value) for name, value in given.items() if value
            }
            try:
                self._made = Config(**texts)
            except (ValueError, OSError) as error:
                raise self._refused(error) from None
        return self._made

    def _refused(self, error: Exception) -> IdentityRefused:
        return IdentityRefused(f"{self.settled_by} gives no access: {str(error).partition('. Config:')[0][:500]}")


def identity_of(settings: Settings) -> Identity:
    """The identity that the settings mean."""
    return {PAT: PersonalToken, M2M: ServicePrincipal}.get(settings.identity, SdkIdentity)(settings)
