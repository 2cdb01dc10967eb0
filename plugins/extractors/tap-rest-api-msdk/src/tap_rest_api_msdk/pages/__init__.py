"""How the pages of a stream are found and asked for: one small class for each style of the published tap."""

from __future__ import annotations

from tap_rest_api_msdk.config import OFFSETS, Paging
from tap_rest_api_msdk.pages.counted import Offsets, PageNumbers
from tap_rest_api_msdk.pages.followed import BodyLinks, HeaderLinks, HeaderTokens, Single, Tokens
from tap_rest_api_msdk.pages.paginator import Paginator


def of(paging: Paging) -> Paginator:
    """The paginator of a style."""
    if paging.style in (*OFFSETS, "simple_offset_paginator"):
        return Offsets(paging.first)
    if paging.style == "page_number_paginator":
        return PageNumbers(paging.first)
    if paging.style in ("header_link_paginator", "restapi_header_link_paginator"):
        return HeaderLinks()
    if paging.style == "simple_header_paginator" and not paging.token_path:
        return HeaderTokens()
    if paging.style == "hateoas_paginator":
        return BodyLinks()
    return Single() if paging.is_single else Tokens()


def token_path(paging: Paging) -> str | None:
    """Where an answer holds what leads to the next page; None where it is not in the body, or not used."""
    defaults = {
        "default": "$.next_page",
        "jsonpath_paginator": "$.next_page",
        "hateoas_paginator": "$._links.next.href",
        "page_number_paginator": "$.hasMore",
    }
    if paging.style in defaults:
        return paging.token_path or defaults[paging.style]
    return paging.token_path if paging.style == "simple_header_paginator" else None
