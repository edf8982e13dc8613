"""Settings of every process: web, worker, beat, commands, tests. All that differs between them is environment."""

from typing import Any
from urllib.parse import unquote

from csp.constants import NONCE, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from config.env import BASE_DIR, LOCAL_DIR, read_env
from config.logging import logging_config
from config.stripe_accounts import read_accounts
from ops.console.theme import UNFOLD as UNFOLD  # the look and navigation of the console

env = read_env()

# --- what kind of place this is -------------------------------------------------------------------

DEBUG = env.bool("DEBUG", default=False)
DEMO = env.bool("KESSAI_DEMO", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY is not set. Start the demo with `make demo` (it makes one), "
        "or set SECRET_KEY to fifty random characters."
    )
SITE_URL = env.str("SITE_URL", default="http://127.0.0.1:8000").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[SITE_URL])

# --- applications ---------------------------------------------------------------------------------

INSTALLED_APPS = [
    "ops.apps.OpsConfig",
    "billing.apps.BillingConfig",
    "accounts.apps.AccountsConfig",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "djstripe",
    "django_celery_beat",
    "django_htmx",
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.middleware.ViewerPreferencesMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.context_processors.viewer",
            ],
        },
    },
]

if DEMO:
    TEMPLATES[0]["OPTIONS"]["context_processors"].append("config.demo.signposts.signposts")

# --- PostgreSQL, Redis, Celery --------------------------------------------------------------------

DATABASES = {"default": env.db_url("DATABASE_URL", default="postgres://127.0.0.1:5432/kessai")}
# A socket's directory stands percent-encoded in the URL (libpq's "Connection URIs").
DATABASES["default"]["HOST"] = unquote(DATABASES["default"]["HOST"])
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# Seconds, milliseconds: a server that has vanished is noticed, instead of waited for for hours.
PATIENCE = {"connect_timeout": 5, "tcp_user_timeout": 20_000}
DATABASES["default"]["OPTIONS"] = PATIENCE | DATABASES["default"].get("OPTIONS", {})
# So many connections at most are kept for pages, which take one for a request (config/asgi.py: the web process alone).
# 0, for all other processes: each thread has its own, with the locks and settings that it holds by its session.
DATABASE_POOL = env.int("DATABASE_POOL", default=0)
if DATABASE_POOL:
    # A database that is away is told within five seconds, and asked anew by the next request.
    POOLED = {"min_size": 1, "max_size": DATABASE_POOL, "timeout": 5.0, "reconnect_timeout": 5.0}
    DATABASES["default"]["OPTIONS"]["pool"] = POOLED

REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "kessai",
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.db"

CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 2}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_max": 0.2}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 300
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "config.beat:Scheduler"  # outlives a database that is away
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    # The sweep finds what a lost message left; a message that arrives makes it a no-op.
    "sweep-inbox": {"task": "billing.tasks.sweep_inbox", "schedule": 15.0},
    "poll-events": {"task": "billing.tasks.poll_events", "schedule": 60.0},
    "check-drift": {"task": "billing.tasks.check_drift", "schedule": 900.0},
    # Timers of executions are as exact as this.
    "sweep-executions": {"task": "ops.tasks.sweep_executions", "schedule": 1.0},
    "read-executions-on-aws": {"task": "ops.tasks.read_executions_on_aws", "schedule": 60.0},
    "sweep-rules": {"task": "ops.tasks.sweep_rules", "schedule": 15.0},
    "prune-rule-log": {"task": "ops.tasks.prune_rule_log", "schedule": 3600.0},
    "prune-executions": {"task": "ops.tasks.prune_executions", "schedule": 3600.0},
    "look-for-problems": {"task": "ops.tasks.look_for_problems", "schedule": 60.0},
    "archive-inbox": {"task": "billing.tasks.archive_inbox", "schedule": 3600.0},
    "prune-destination-log": {"task": "ops.tasks.prune_destination_log", "schedule": 3600.0},
    "prune-mails": {"task": "ops.tasks.prune_mails", "schedule": 3600.0},
    "tell-customer-details": {"task": "billing.tasks.tell_customer_details", "schedule": 60.0},
}

# --- Stripe ---------------------------------------------------------------------------------------

STRIPE_API_VERSION = "2026-08-26.dahlia"
STRIPE_SECRET_KEY = env.str("STRIPE_SECRET_KEY", default="")
STRIPE_PUBLIC_KEY = env.str("STRIPE_PUBLISHABLE_KEY", default="")
STRIPE_LIVE_MODE = "_live_" in STRIPE_SECRET_KEY
# Several secrets, comma-separated, are accepted while one is being rolled.
STRIPE_WEBHOOK_SECRETS = env.list("STRIPE_WEBHOOK_SECRET", default=[])
STRIPE_WEBHOOK_TOLERANCE_SECONDS = 300
STRIPE_ACCOUNT_ID = env.str("STRIPE_ACCOUNT_ID", default="")
STRIPE_ACCOUNTS = read_accounts(env)  # further accounts, or the other mode of the same one
# The queue behind EventBridge that `manage.py receive_sqs` empties.
EVENTS_QUEUE_URL = env.str("EVENTS_QUEUE_URL", default="")
# Stripe's events API finds what the other doors missed. Their events get so long to come by themselves:
STRIPE_POLL_GRACE_SECONDS = env.int("STRIPE_POLL_GRACE_SECONDS", default=120)
# Events may appear in the API's list late: so much of what was read is read again.
STRIPE_POLL_OVERLAP_SECONDS = env.int("STRIPE_POLL_OVERLAP_SECONDS", default=300)
# Only a sandbox is reached by another address; without it every call goes to Stripe itself.
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default="")
# An address that tells what time it is for workflows and pages, for the demo and for tests alone: billing/clock.py.
CLOCK_URL = "" if STRIPE_LIVE_MODE else env.str("CLOCK_URL", default="")
STRIPE_TIMEOUT_SECONDS = env.float("STRIPE_TIMEOUT_SECONDS", default=10.0)
# What a page that calls Stripe may wait for it in all, before its person reads that no answer has come.
STRIPE_PAGE_PATIENCE_SECONDS = env.float("STRIPE_PAGE_PATIENCE_SECONDS", default=10.0)
# Calls a second, all processes together; Stripe allows 100 in live and 25 in test mode (Stripe docs: "Rate limits").
# The rest is left to whatever else uses the account. A sandbox has no limit: it need only not be drowned.
STRIPE_RATE_LIMIT_LIVE = env.float("STRIPE_RATE_LIMIT_LIVE", default=80.0)
STRIPE_RATE_LIMIT_TEST = env.float("STRIPE_RATE_LIMIT_TEST", default=500.0 if STRIPE_API_BASE else 20.0)
STRIPE_RATE_LIMIT_LOCAL_SHARE = 0.25  # of the rate, for each process, while Redis is away
STRIPE_CALLS_AT_ONCE = env.int("STRIPE_CALLS_AT_ONCE", default=16)  # by one worker or command
DRIFT_SAMPLE = env.int("DRIFT_SAMPLE", default=10)  # objects of each kind, compared with Stripe every 15 minutes
DRIFT_PATIENCE_SECONDS = 5.0  # before an object that differs is looked at again: its event may be on its way
if STRIPE_API_BASE:
    STRIPE_API_HOST = STRIPE_API_BASE  # the name under which dj-stripe looks for it
    SILENCED_SYSTEM_CHECKS = ["djstripe.W002"]  # it warns of just that

# Whether each event is also kept as a row of dj-stripe's Event, for code that reads those; the inbox holds them anyway.
MIRROR_STRIPE_EVENTS = env.bool("MIRROR_STRIPE_EVENTS", default=False)

DJSTRIPE_SUBSCRIBER_MODEL = "accounts.Organization"
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
# Metadata edited in Stripe's dashboard must not re-point a customer: the link table alone says whose it is.
DJSTRIPE_SUBSCRIBER_CUSTOMER_KEY = ""

# --- how long events are kept -----------------------------------------------------------------------

# Without a bucket nothing is archived and nothing is dropped. 0 days: for ever.
INBOX_ARCHIVE_BUCKET = env.str("INBOX_ARCHIVE_BUCKET", default="")
INBOX_ARCHIVE_PREFIX = env.str("INBOX_ARCHIVE_PREFIX", default="inbox/")
INBOX_ARCHIVE_ENDPOINT = env.str("INBOX_ARCHIVE_ENDPOINT", default="")  # only for a store that is not S3 itself
INBOX_PAYLOAD_DAYS = env.int("INBOX_PAYLOAD_DAYS", default=90)
INBOX_ROW_DAYS = env.int("INBOX_ROW_DAYS", default=400)  # 31 at least: Stripe can send events again for thirty

# --- rules ------------------------------------------------------------------------------------------

# An event of our own that so many rules' targets lie before is kept and matched no more: it is taken for a loop.
RULES_LONGEST_CHAIN = env.int("RULES_LONGEST_CHAIN", default=5)
# Where rules are kept as files, a folder a playbook; a company's own may stand elsewhere.
PLAYBOOKS_DIRECTORY = env.str("PLAYBOOKS_DIRECTORY", default=str(BASE_DIR / "ops" / "playbooks"))
RULES_LOG_DAYS = env.int("RULES_LOG_DAYS", default=90)  # how long matches and calls are kept; 0: for ever
RULES_CALLS_AT_ONCE = env.int("RULES_CALLS_AT_ONCE", default=16)  # by one worker; each may need a database connection
# How long histories of executions that have ended are kept (Step Functions: 90 days), and the executions; 0: for ever.
WORKFLOWS_HISTORY_DAYS = env.int("WORKFLOWS_HISTORY_DAYS", default=90)
WORKFLOWS_ROW_DAYS = env.int("WORKFLOWS_ROW_DAYS", default=400)
# Tasks that Step Functions handed out, after their answers, and longer where the execution there may ask again.
WORKFLOWS_TASK_DAYS = env.int("WORKFLOWS_TASK_DAYS", default=90)
MAIL_KEEP_DAYS = env.int("MAIL_KEEP_DAYS", default=400)  # how long mails that playbooks sent are kept; 0: for ever
# Where Tasks of workflows call AWS; targets of rules name their regions themselves.
AWS_REGION = env.str("AWS_REGION", default=env.str("AWS_DEFAULT_REGION", default="us-east-1"))

# --- API destinations -------------------------------------------------------------------------------

# What stored secrets are sealed with: the first seals, all read. Without any it is SECRET_KEY.
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS", default=[])
# Networks that destinations may stand in although they are private ("10.20.0.0/16"), also without TLS. A demo's
# destinations stand on this machine.
DESTINATIONS_ALLOWED_NETWORKS = env.list(
    "DESTINATIONS_ALLOWED_NETWORKS", default=["127.0.0.0/8", "::1/128"] if DEMO else []
)
DESTINATIONS_CA_FILE = env.str("DESTINATIONS_CA_FILE", default="")  # certificates that are trusted besides
# No call takes longer, whatever its destination says (EventBridge: 5 seconds).
DESTINATIONS_LONGEST_TIMEOUT_SECONDS = env.float("DESTINATIONS_LONGEST_TIMEOUT_SECONDS", default=5.0)
DESTINATIONS_FAILURES = env.int("DESTINATIONS_FAILURES", default=5)  # in a row, until a destination is left alone
DESTINATIONS_LOG_DAYS = env.int("DESTINATIONS_LOG_DAYS", default=30)

# --- people ---------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = reverse_lazy("account_login")
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_FORMS = {"signup": "accounts.signup.SignupForm"}
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_CONFIRM_EMAIL_ON_GET = False
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_NOTIFICATIONS = True
MFA_ADAPTER = "accounts.mfa.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Kessai"
# Browsers allow passkeys on plain HTTP only for localhost, which is where the demo runs.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = DEBUG or DEMO

# --- mail -----------------------------------------------------------------------------------------

vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
if DEMO and not env.str("EMAIL_URL", default=""):
    EMAIL_BACKEND, EMAIL_FILE_PATH = "config.demo.mail.backend.MailToBox", str(LOCAL_DIR / "mail")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Kessai <billing@kessai.example>")
EMAIL_TIMEOUT = 10

# --- languages, time ------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("ja", _("Japanese"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["config.formats"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# --- static files ---------------------------------------------------------------------------------

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = LOCAL_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": env.str("STATICFILES_STORAGE", default="whitenoise.storage.CompressedManifestStaticFilesStorage")
    },
}

# --- security -------------------------------------------------------------------------------------

HTTPS = SITE_URL.startswith("https://")
SECURE_SSL_REDIRECT = HTTPS
# Probes and Prometheus ask the process itself, without the proxy that speaks HTTPS.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "frame-ancestors": [NONE],
        "form-action": [SELF, "https://checkout.stripe.com", "https://billing.stripe.com"],
    }
}
# Browsers apply form-action to the redirects that follow a form: the sandbox's hosted pages stand elsewhere.
if STRIPE_API_BASE:
    CONTENT_SECURITY_POLICY["DIRECTIVES"]["form-action"].append(STRIPE_API_BASE)
# django-unfold runs Alpine.js, which evaluates expressions, and writes inline styles. Console pages alone get this.
CONSOLE_CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "script-src": [SELF, NONCE, UNSAFE_EVAL],
    "style-src": [SELF, UNSAFE_INLINE],
}

# --- numbers --------------------------------------------------------------------------------------

# Who may read /metrics: whoever has the token, or asks from one of these networks ("10.0.0.0/8,::1/128").
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
METRICS_NETWORKS = env.list("METRICS_NETWORKS", default=["127.0.0.0/8", "::1/128"] if DEMO else [])
# A machine that has workers and no web process tells its numbers on this port; 0: nowhere.
METRICS_WORKER_PORT = env.int("METRICS_WORKER_PORT", default=0)

# --- logs -----------------------------------------------------------------------------------------

LOGGING = logging_config(level=env.str("LOG_LEVEL", default="INFO"), as_json=env.bool("LOG_JSON", default=not DEBUG))
