"""An API for the tests of tap-rest-api-msdk, written apart from the tap: every paging style, and what goes wrong with APIs."""
