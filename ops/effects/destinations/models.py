"""API destinations as rows. What is secret stands sealed (`ops.effects.sealing`), under columns named `sealed_…`."""

from datetime import datetime
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

# AWS docs, "CreateConnection" and "CreateApiDestination": the form of names.
NAME = RegexValidator(r"^[.\-_A-Za-z0-9]{1,64}\Z", _("Use at most 64 letters, digits, dots, hyphens and underscores."))
HEADER_NAME = RegexValidator(r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}\Z", _("This is no name of an HTTP header."))


class Authorization(models.TextChoices):
    """How a connection proves who is calling."""

    BASIC = "basic", _("User name and password")
    API_KEY = "api-key", _("API key in a header")
    OAUTH = "oauth", _("OAuth client credentials")


class TokenMethod(models.TextChoices):
    POST = "POST", "POST"
    GET = "GET", "GET"
    PUT = "PUT", "PUT"


class ClientPlace(models.TextChoices):
    """Where the authorization server looks for the client's id and secret (RFC 6749, 2.3.1)."""

    HEADER = "header", _("In the Authorization header")
    BODY = "body", _("Among the parameters")


class Connection(models.Model):
    """Credentials, and what goes with every request that is made with them. Several destinations may share it."""

    name = models.CharField(_("name"), max_length=64, unique=True, validators=[NAME])
    description = models.CharField(_("description"), max_length=512, blank=True, default="")
    authorization = models.CharField(_("authorization"), max_length=8, choices=Authorization.choices)
    # The user's name, the API key's header or the client's id.
    identity = models.CharField(_("identity"), max_length=512)
    sealed_secret = models.TextField(default="")  # the password, the API key or the client's secret
    secret_set_at = models.DateTimeField(_("secret set"), null=True, blank=True)
    token_endpoint = models.CharField(_("authorization endpoint"), max_length=2048, blank=True, default="")
    token_method = models.CharField(
        _("its HTTP method"), max_length=4, choices=TokenMethod.choices, default=TokenMethod.POST
    )
    client_place = models.CharField(
        _("client id and secret"), max_length=6, choices=ClientPlace.choices, default=ClientPlace.HEADER
    )

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Place(models.TextChoices):
    """Where a connection's parameter goes: into each invocation, or into the request for a token."""

    HEADER = "header", _("Header")
    QUERY = "query", _("Query string")
    BODY = "body", _("Body")
    OAUTH_HEADER = "oauth-header", _("OAuth header")
    OAUTH_QUERY = "oauth-query", _("OAuth query string")
    OAUTH_BODY = "oauth-body", _("OAuth body")


class ConnectionParameter(models.Model):
    """A header, query-string or body parameter that goes with every request of a connection."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="parameters")
    place = models.CharField(_("where"), max_length=12, choices=Place.choices)
    name = models.CharField(_("name"), max_length=512)
    value = models.CharField(_("value"), max_length=2048, blank=True, default="")  # empty where it is secret
    secret = models.BooleanField(_("secret"), default=False)
    sealed_value = models.TextField(default="")
    set_at = models.DateTimeField(_("set"), null=True, blank=True)

    class Meta:
        verbose_name = _("parameter of a connection")
        verbose_name_plural = _("parameters of a connection")
        ordering = ["connection", "place", "name"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "place", "name"], name="connection_parameter_once")
        ]

    def __str__(self) -> str:
        return f"{self.get_place_display()} {self.name}"


class ConnectionToken(models.Model):
    """The OAuth token that all workers share. Only a cache: it may be deleted at any time."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, primary_key=True, related_name="token")
    sealed_token = models.TextField(default="")
    kind = models.CharField(max_length=32, default="Bearer")  # the token_type that the server named
    made_of = models.CharField(max_length=64, default="")  # fingerprint of the credentials: others make another token
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    fetched_at = models.DateTimeField(_("fetched"), null=True, blank=True)
    fetching_until = models.DateTimeField(null=True, blank=True)  # the lease of the worker that asks for a new one

    class Meta:
        verbose_name = _("OAuth token")
        verbose_name_plural = _("OAuth tokens")

    def __str__(self) -> str:
        return f"token of {self.connection_id}"


class Method(models.TextChoices):
    """AWS docs, "CreateApiDestination": every method but CONNECT and TRACE."""

    POST = "POST", "POST"
    PUT = "PUT", "PUT"
    PATCH = "PATCH", "PATCH"
    GET = "GET", "GET"
    DELETE = "DELETE", "DELETE"
    HEAD = "HEAD", "HEAD"
    OPTIONS = "OPTIONS", "OPTIONS"


class Destination(models.Model):
    """Where calls go, how often, how long they may take, and whether we sign them."""

    name = models.CharField(_("name"), max_length=64, unique=True, validators=[NAME])
    description = models.CharField(_("description"), max_length=512, blank=True, default="")
    connection = models.ForeignKey(
        Connection, on_delete=models.PROTECT, related_name="destinations", verbose_name=_("connection")
    )
    endpoint = models.CharField(_("endpoint"), max_length=2048)  # with a * for each path value of a target
    method = models.CharField(_("HTTP method"), max_length=7, choices=Method.choices, default=Method.POST)
    rate_limit = models.PositiveSmallIntegerField(
        _("calls a second"), default=300, validators=[MinValueValidator(1), MaxValueValidator(300)]
    )
    timeout_seconds = models.FloatField(
        _("time-out in seconds"), default=5.0, validators=[MinValueValidator(0.1), MaxValueValidator(60.0)]
    )
    follow_redirects = models.BooleanField(_("follow redirects"), default=False)
    signed = models.BooleanField(_("signed by us"), default=False)  # Standard Webhooks
    sealed_signing_secret = models.TextField(default="")
    signing_secret_set_at = models.DateTimeField(_("signing secret set"), null=True, blank=True)
    sealed_old_signing_secret = models.TextField(default="")
    old_signing_secret_until = models.DateTimeField(_("old signing secret until"), null=True, blank=True)

    class Meta:
        verbose_name = _("API destination")
        verbose_name_plural = _("API destinations")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class BreakerState(models.TextChoices):
    """Whether calls go out."""

    CLOSED = "closed", _("Answers")
    OPEN = "open", _("Left alone")  # it failed too often in a row; nobody calls until `probe_at`
    HALF_OPEN = "half-open", _("Next call is a trial")  # one call may go, and its answer decides


class DestinationHealth(models.Model):
    """How a destination fares, as all workers see it: its circuit breaker and when it last answered."""

    destination = models.OneToOneField(Destination, on_delete=models.CASCADE, primary_key=True, related_name="health")
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    opened_at: "models.DateTimeField[datetime | None, datetime | None]" = models.DateTimeField(
        _("left alone since"), null=True, blank=True
    )
    openings = models.PositiveIntegerField(default=0)  # trials that failed, and the first opening
    probe_at: "models.DateTimeField[datetime | None, datetime | None]" = models.DateTimeField(
        _("next trial"), null=True, blank=True
    )
    last_success_at = models.DateTimeField(_("last success"), null=True, blank=True)  # to ten seconds
    last_failure_at = models.DateTimeField(_("last failure"), null=True, blank=True)
    last_error = models.TextField(_("last error"), blank=True, default="")

    class Meta:
        verbose_name = _("health of a destination")
        verbose_name_plural = _("health of destinations")

    def __str__(self) -> str:
        return f"health of {self.destination_id}"

    def state(self, now: datetime) -> BreakerState:
        if self.opened_at is None:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if self.probe_at is None or self.probe_at <= now else BreakerState.OPEN


class Origin(models.TextChoices):
    """Why a request was made."""

    RULE = "rule", _("By a rule")
    TEST = "test", _("As a test")
    REPLAY = "replay", _("Once more")


class Came(models.TextChoices):
    """What came of a request."""

    UNKNOWN = "unknown", _("Under way")  # or its worker died: then nobody knows
    DONE = "done", _("Done")
    RETRY = "retry", _("To be tried again")
    REFUSED = "refused", _("Refused")


class DestinationRequest(models.Model):
    """One request to a destination and its answer, secrets masked. Written before it goes out; pruned after a while."""

    destination = models.ForeignKey(
        Destination, null=True, on_delete=models.SET_NULL, related_name="requests", verbose_name=_("destination")
    )
    destination_name = models.CharField(_("destination"), max_length=64)
    key = models.CharField(_("idempotency key"), max_length=255)
    origin = models.CharField(_("origin"), max_length=6, choices=Origin.choices, default=Origin.RULE)
    replay_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="replays")
    # What was wished: the caller's text and parameters, from which the request is made again by a replay.
    body = models.TextField(_("body"), blank=True, default="")
    body_length = models.PositiveIntegerField(default=0)  # bytes; more than is kept where it was cut
    body_cut = models.BooleanField(default=False)
    parameters: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict, blank=True)
    # What went out.
    method = models.CharField(_("method"), max_length=7)
    url = models.TextField(_("address"))
    headers: "models.JSONField[list[Any], list[Any]]" = models.JSONField(default=list)  # [[name, value], …]
    sent_body = models.TextField(blank=True, default="")  # where the connection added to the body
    at = models.DateTimeField(_("at"))
    # What came back.
    came = models.CharField(_("outcome"), max_length=7, choices=Came.choices, default=Came.UNKNOWN)
    error = models.TextField(_("error"), blank=True, default="")  # "Name: sentence"
    address = models.CharField(_("connected to"), max_length=64, blank=True, default="")  # the IP address
    hops: "models.JSONField[list[Any], list[Any]]" = models.JSONField(default=list)  # redirects that were followed
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    answer_headers: "models.JSONField[list[Any], list[Any]]" = models.JSONField(default=list)
    answer = models.TextField(_("answer"), blank=True, default="")
    answer_cut = models.BooleanField(default=False)
    milliseconds = models.PositiveIntegerField(_("duration in ms"), null=True)

    class Meta:
        verbose_name = _("request to a destination")
        verbose_name_plural = _("requests to destinations")
        indexes = [
            models.Index(fields=["destination", "-at"], name="destination_request_newest"),
            models.Index(fields=["at"], name="destination_request_old"),
            models.Index(fields=["key"], name="destination_request_by_key"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.destination_name} {self.key}"

    @property
    def error_name(self) -> str:
        return self.error.partition(":")[0]
