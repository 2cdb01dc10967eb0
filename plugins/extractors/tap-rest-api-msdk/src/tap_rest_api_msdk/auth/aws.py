"""AWS Signature Version 4, by botocore's own signer."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from singer_arrow.errors import SettingsRefused
from tap_rest_api_msdk.errors import CredentialsRefused
from tap_rest_api_msdk.settings import PROGRAM

logging.getLogger("botocore").setLevel(logging.WARNING)  # it tells what it signs


class AwsAuth:
    """Signs each request with the credentials of the settings, else of the environment, else of a profile.

    Raises SettingsRefused where the profile does not exist, or has no credentials or no region.
    """

    settings = "aws_credentials"

    def __init__(self, given: Mapping[str, Any]) -> None:
        def value(name: str) -> str:
            return str(given.get(name) or os.environ.get(name.upper()) or "")

        region = value("aws_region")
        if value("aws_access_key_id") and value("aws_secret_access_key"):
            token = value("aws_session_token") or None
            credentials: Any = Credentials(value("aws_access_key_id"), value("aws_secret_access_key"), token)
        else:
            credentials, region = _of_profile(value("aws_profile"), region)
        unsigned = {False, "false", "no"} & {given.get("create_signed_credentials"), given.get("use_signed_credentials")}
        self._signer = None if unsigned else SigV4Auth(credentials, value("aws_service"), region)

    def sign(self, url: str, headers: dict[str, str], body: bytes | None) -> None:
        """See Auth."""
        if self._signer is not None:
            request = AWSRequest("GET", url, headers=dict(headers), data=body)
            try:
                self._signer.add_auth(request)  # which gets those of a role or a login first
            except (BotoCoreError, ClientError) as error:
                raise CredentialsRefused(f"AWS gives no credentials: {error}", action=f"check {self.settings}") from error
            headers |= dict(request.headers.items())

    def renew(self) -> bool:
        """Never: keys do not change in a run."""
        return False


def _of_profile(name: str, region: str) -> tuple[Any, str]:
    """The credentials of a profile, and the region: the given one, else the profile's."""
    try:
        session = botocore.session.Session(profile=name)
        credentials, region = session.get_credentials(), region or str(session.get_config_variable("region") or "")
    except BotoCoreError as error:
        raise SettingsRefused(PROGRAM, [f"aws_credentials: aws_profile: {error}"]) from error
    lacking = [*([] if credentials else ["credentials"]), *([] if region else ["region"])]
    if lacking:
        raise SettingsRefused(PROGRAM, [f"aws_credentials: aws_profile: the profile {name} has no {' and no '.join(lacking)}"])
    return credentials, region
