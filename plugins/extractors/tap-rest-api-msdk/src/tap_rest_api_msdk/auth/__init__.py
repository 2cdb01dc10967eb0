"""Logins: a method is a small class that signs requests to the API's own host, and may renew itself once it is refused."""

from __future__ import annotations

from tap_rest_api_msdk.auth.headers import HeaderAuth, headers_of
from tap_rest_api_msdk.client.login import Auth
from tap_rest_api_msdk.client.masks import Masks
from tap_rest_api_msdk.client.transport import Transport
from tap_rest_api_msdk.retry import Patience
from tap_rest_api_msdk.settings import Settings


def of(settings: Settings, transport: Transport, patience: Patience, masks: Masks) -> Auth:
    """The login that settings ask for; what it learns in a run (access tokens) is told to `masks`."""
    if settings.auth_method == "oauth":
        from tap_rest_api_msdk.auth.oauth import OAuth

        return OAuth(settings, transport, patience, masks)
    if settings.auth_method == "aws":
        from tap_rest_api_msdk.auth.aws import AwsAuth

        return AwsAuth(settings.aws_credentials)
    return HeaderAuth(settings.auth_method, headers_of(settings))
