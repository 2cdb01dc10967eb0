"""The client that a configuration asks for."""

from __future__ import annotations

from collections.abc import Iterator

from tap_rest_api_msdk import auth
from tap_rest_api_msdk.client.client import ApiClient
from tap_rest_api_msdk.client.masks import Masks
from tap_rest_api_msdk.client.pace import Pace
from tap_rest_api_msdk.client.transport import Transport
from tap_rest_api_msdk.config import TapConfig
from tap_rest_api_msdk.settings import Settings


def client(config: TapConfig) -> ApiClient:
    """A client of the API, with its login; nothing is sent yet."""
    settings, limits = config.settings, config.limits
    masks = Masks(_secrets(settings))
    pace = Pace(limits.parallel)
    transport = Transport(limits.timeout, limits.answer_bytes, pace.most, settings.ca_file, settings.proxy)
    headers = {"User-Agent": settings.user_agent} if settings.user_agent else {}
    login = auth.of(settings, transport, config.patience, masks)
    return ApiClient(config.api_url, headers, login, transport, config.patience, masks, limits.per_second, pace)


def _secrets(settings: Settings) -> Iterator[str]:
    """What no message may show. Headers and parameters may hold keys too: their longer values count."""
    yield from (s.reveal() for s in (settings.password, settings.bearer_token, settings.client_secret, settings.refresh_token))
    yield from (key.reveal() for key in settings.api_keys.values())
    yield f"{settings.username}:{settings.password.reveal()}"
    yield f"{settings.client_id}:{settings.client_secret.reveal()}"
    yield from (str(settings.aws_credentials.get(name) or "") for name in ("aws_secret_access_key", "aws_session_token"))
    yield from map(str, settings.oauth_extras.values())
    for given in (settings, *settings.streams):
        yield from (str(value) for each in (given.headers, given.params) for value in each.values() if len(str(value)) >= 8)
