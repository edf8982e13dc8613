"""Errors as Stripe words them. A handler raises, app.py renders.

Source of types, codes and fields: Stripe docs, "Errors" and "Error codes".
"""

from typing import Any

DOC_URL = "https://stripe.com/docs/error-codes/"


class ApiError(Exception):
    """An answer other than 2xx. `keeps_changes` says that what the handler wrote is committed all the same."""

    keeps_changes = False

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.type = message, status, type
        self.code, self.param, self.fields = code, param, fields

    def body(self) -> dict[str, Any]:
        """The value of `error` in the answer, without the request's log address."""
        body: dict[str, Any] = {"message": self.message, "type": self.type, **self.fields}
        if self.code:
            body |= {"code": self.code, "doc_url": DOC_URL + self.code.replace("_", "-")}
        if self.param:
            body["param"] = self.param
        return body


class CardError(ApiError):
    """The bank said no: 402. The failed charge and the intent's new state stay."""

    keeps_changes = True

    def __init__(self, message: str, *, code: str, **fields: Any) -> None:
        super().__init__(message, status=402, type="card_error", code=code, **fields)


def no_such(label: str, id: str, *, param: str = "id", in_path: bool = False, other_mode: str = "") -> ApiError:
    """`other_mode` ("live" or "test") tells that the object exists there."""
    message = f"No such {label}: '{id}'"
    if other_mode:
        used = "test" if other_mode == "live" else "live"
        message += (
            f"; a similar object exists in {other_mode} mode, but a {used} mode key was used to make this request."
        )
    return ApiError(message, status=404 if in_path else 400, code="resource_missing", param=param)


def missing(param: str) -> ApiError:
    return ApiError(f"Missing required param: {param}.", code="parameter_missing", param=param)


def unrecognized_url(method: str, path: str) -> ApiError:
    return ApiError(
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at "
        "https://support.stripe.com/.",
        status=404,
    )
