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

logging.getLogger("botocore").setLevel(logging.WARNING)  # it tells what it signs


class AwsAuth:
    """Signs each request with the credentials of the settings, else of the environment, else of a profile."""

    settings = "aws_credentials"

    def __init__(self, given: Mapping[str, Any]) -> None:
        def value(name: str) -> str:
            return str(given.get(name) or os.environ.get(name.upper()) or "")

        region = value("aws_region")
        if value("aws_access_key_id") and value("aws_secret_access_key"):
            token = value("aws_session_token") or None
            credentials: Any = Credentials(value("aws_access_key_id"), value("aws_secret_access_key"), token)
        else:
            session = botocore.session.Session(profile=value("aws_profile"))
            credentials, region = session.get_credentials(), region or str(session.get_config_variable("region") or "")
        unsigned = {False, "false", "no"} & {given.get("create_signed_credentials"), given.get("use_signed_credentials")}
        self._signer = None if unsigned else SigV4Auth(credentials, value("aws_service"), region)

    def sign(self, url: str, headers: dict[str, str], body: bytes | None) -> None:
        """See Auth."""
        if self._signer is not None:
            request = AWSRequest("GET", url, headers=dict(headers), data=body)
            self._signer.add_auth(request)
            headers |= dict(request.headers.items())

    def renew(self) -> bool:
        """Never: keys do not change in a run."""
        return False
