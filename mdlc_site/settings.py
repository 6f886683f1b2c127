"""Settings for every installation; what differs comes from the environment."""

from datetime import timedelta
from pathlib import Path

import structlog
from celery.schedules import crontab, schedule
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from engine import fault_points
from mdlc_site.environment import addresses, env, fernet_keys, flag, key, names, number, one_of, storage, text, urls

BASE_DIR = Path(__file__).resolve().parent.parent

# What an installation must decide
DEBUG = flag("DEBUG", default=False)
SECRET_KEY = text("SECRET_KEY")
if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("SECRET_KEY must have at least 32 characters.")
SITE_URL = text("SITE_URL", "http://127.0.0.1:8000").rstrip("/")
HTTPS = SITE_URL.startswith("https://")
if HTTPS and fault_points.armed():
    raise ImproperlyConfigured(f"{fault_points.VARIABLE} lets tests break this process; unset it where people work.")
ALLOWED_HOSTS = names("ALLOWED_HOSTS", "127.0.0.1,localhost")
CSRF_TRUSTED_ORIGINS = [SITE_URL]
ENGINE_URLS = urls("ENGINE_URLS")
STORE = text("MDLC_STORE", str(BASE_DIR / "var" / "store"))
ANCHORS = text("MDLC_ANCHORS", str(BASE_DIR / "var" / "anchors.jsonl"))
ANCHOR_WEBHOOKS = addresses("MDLC_ANCHOR_WEBHOOKS")
TIME_STAMPS = addresses("MDLC_TIME_STAMPS")
TIME_STAMP_ROOTS = text("MDLC_TIME_STAMP_ROOTS", "")
if TIME_STAMPS and not TIME_STAMP_ROOTS:
    raise ImproperlyConfigured(
        "MDLC_TIME_STAMPS needs MDLC_TIME_STAMP_ROOTS, the certificates by which stamps are proven."
    )
SIGNING_KEY = key("MDLC_SIGNING_KEY", text("MDLC_SIGNING_KEY", ""))  # empty: one is derived from SECRET_KEY
EVIDENCE_LIMIT = number("MDLC_EVIDENCE_LIMIT", 50 * 1024**2, least=1)
EVIDENCE_TYPES = names(
    "MDLC_EVIDENCE_TYPES", "pdf,png,jpg,jpeg,txt,md,csv,json,yaml,yml,log,docx,xlsx,pptx,odt,ods,zip,parquet,ipynb"
)
UPLOAD_LIMIT = number("MDLC_UPLOAD_LIMIT", 2 * 1024**3, least=1)

INSTALLED_APPS = [
    "mdlc_site",
    "audit",
    "models_registry",
    "handoff",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django.forms",
    "pgtrigger",
    "guardian",
    "rest_framework",
    "knox",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "axes",
    "csp",
    "django_celery_beat",
]

MIDDLEWARE = [
    "mdlc_site.request_ids.RequestIdMiddleware",
    "mdlc_site.tracing.TracingMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "mdlc_site.admission.AdmissionMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "mdlc_site.sessions.PrivacyMiddleware",
    "handoff.web.context.CountAnewMiddleware",
    "mdlc_site.required_factors.SecondFactorMiddleware",
    "mdlc_site.errors.RefusalMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "mdlc_site.urls"
WSGI_APPLICATION = "mdlc_site.wsgi.application"
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["mdlc_site.templatetags.mdlc"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "handoff.web.context.inbox",
            ],
        },
    }
]

# What a process works at. Granian's threads are these two, and a few more that turn away and tell how it goes.
REQUESTS_AT_ONCE = number("MDLC_REQUESTS_AT_ONCE", 4, least=1)
REQUESTS_WAITING = number("MDLC_REQUESTS_WAITING", 24)
WAIT_SECONDS = number("MDLC_WAIT_SECONDS", 5)

# Data. A pool per process; statements that hang are ended by the server.
_database = env.db_url("DATABASE_URL", default="postgres:///mdlc")
DATABASES = {
    "default": {
        **_database,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **_database.get("OPTIONS", {}),
            # Statements that bind on the server (audit/planning.py) are planned once a session, the others never.
            "prepare_threshold": 1,
            "pool": {"min_size": 1, "max_size": number("MDLC_DB_POOL", 8, least=1), "timeout": 10},
            "options": "-c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
REDIS_URL = text("REDIS_URL", "redis://127.0.0.1:6379/0")
# Counters of attempts live beside the accounts: nobody must wait for the broker's server to sign in or to sign.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "mdlc_cache"}}

STORAGES = {
    "default": storage("MDLC_STORE", STORE),
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = text("STATIC_ROOT", str(BASE_DIR / "var" / "static"))
WHITENOISE_USE_FINDERS = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024**2
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024**2
FILE_UPLOAD_HANDLERS = ["mdlc_site.uploads.Bounded"]
DATA_UPLOAD_MAX_NUMBER_FILES = 10  # a version has seven elements

# People
AUTH_USER_MODEL = "audit.Account"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
    "django.contrib.auth.backends.ModelBackend",
    "mdlc_site.authentication.HeldRoles",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "mdlc_site.passwords.WordsOfTheOrganisation"},
]
PASSWORD_WORDS = names("MDLC_PASSWORD_WORDS", "")
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
ANONYMOUS_USER_NAME = None
GUARDIAN_RAISE_403 = False
SILENCED_SYSTEM_CHECKS = ["guardian.W001"]  # its backend is there, in a form that knows of time
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "inbox"
ACCOUNT_ADAPTER = "mdlc_site.accounts.ClosedDoor"
ACCOUNT_FORMS = {"login": "mdlc_site.accounts.SignInForm"}
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_SESSION_REMEMBER = False
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_ADAPTER = "mdlc_site.factors.SealedFactors"
USERSESSIONS_ADAPTER = "mdlc_site.accounts.OwnSessions"
FACTOR_KEYS = fernet_keys("MDLC_FACTOR_KEYS")  # empty: one is derived from SECRET_KEY
SECOND_FACTOR_FOR = one_of("MDLC_SECOND_FACTOR_FOR", "nobody", ("nobody", "staff", "everybody"))
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "mdlc_site.accounts.locked_out"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_IDLE_SECONDS = 60 * number("MDLC_IDLE_MINUTES", 60, least=1)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
# A cookie with this prefix is taken by browsers from this host alone, and only over TLS.
_COOKIE = "__Host-mdlc-" if HTTPS else "mdlc-"
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME, MESSAGES_COOKIE = (_COOKIE + name for name in ("session", "csrf", "messages"))
MESSAGE_STORAGE = "mdlc_site.sessions.MessageStorage"
CSRF_COOKIE_HTTPONLY = True  # pages carry the token themselves
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "mdlc_site.errors.csrf_failure"

AUDIT_CHAINS_OF = "mdlc_site.chains.chains_of"
SINKS_BOUND_BY = "mdlc_site.bound_sinks.bound_by"

# The wire
SECURE_SSL_REDIRECT = HTTPS and flag("MDLC_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
BEHIND_PROXY = flag("MDLC_BEHIND_PROXY", default=False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# REST
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "mdlc_site.authentication.Bearer",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": [
        "mdlc_site.rendering.JSONRenderer",
        "mdlc_site.rendering.BrowsableAPIRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": [
        "mdlc_site.rendering.StrictJSONParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_PAGINATION_CLASS": "audit.paging.ByCursor",
    "PAGE_SIZE": 50,
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "mdlc_site.openapi.Schema",
    "EXCEPTION_HANDLER": "mdlc_site.errors.api_exception",
    "DEFAULT_THROTTLE_RATES": {"reauthentication": "20/min", "login": "30/min"},
    "NUM_PROXIES": 1 if BEHIND_PROXY else 0,  # an address that the client wrote itself does not count
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
REST_KNOX = {
    "TOKEN_TTL": timedelta(hours=12),
    "AUTH_HEADER_PREFIX": "Bearer",
    "AUTO_REFRESH": False,
    "TOKEN_LIMIT_PER_USER": 20,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "MDLC Handoff",
    "DESCRIPTION": "Govern the handoff of machine-learning models from creation to production.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "AccountKind": "audit.models.Account.Kind",
        "EnvironmentKind": "models_registry.models.Environment.Kind",
        "ConsumerKind": "models_registry.models.Consumer.Kind",
        "EvidenceKind": "handoff.models.Evidence.Kind",
        "ProofKind": "handoff.models.Finding.Proof",
        "WaiverKind": "handoff.models.Waiver.Kind",
        "CompatibilityEnum": "handoff.models.AskedConsumer.Compatibility",
        "DecisionEnum": "handoff.models.SignOff.Decision",
        "AmendmentDecision": "handoff.models.AmendmentSignOff.Decision",
        "VersionState": "models_registry.states.VersionState",
        "HandoffState": "handoff.states.State",
        "SignOffState": "handoff.states.SignOffState",
        "DeploymentState": "handoff.states.DeploymentState",
        "JobState": "handoff.states.JobState",
        "RunState": "handoff.states.RunState",
        "Reconciled": ["agrees", "differs", "not asked yet"],
        "HealthVerdict": ["good", "late", "bad"],
        "RoleState": ["now", "planned", "ended"],
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "mdlc_site.openapi.add_problem",
    ],
}

# Work. The relay process alone publishes; messages expire, carry an id, and may be lost or doubled without harm.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "tests"
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
}
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_SCHEDULE = {
    "anchor the audit trail": {"task": "audit.anchor", "schedule": schedule(300), "options": {"queue": "tests"}},
    "anchor the tree outside": {
        "task": "audit.anchor_outside",
        "schedule": schedule(300),
        "options": {"queue": "tests"},
    },
    "forget request keys": {
        "task": "audit.forget_keys",
        "schedule": schedule(3600),
        "options": {"queue": "tests"},
    },
    "expire handoffs": {"task": "handoff.expire", "schedule": schedule(60), "options": {"queue": "tests"}},
    "open windows": {"task": "handoff.open_windows", "schedule": schedule(30), "options": {"queue": "tests"}},
    "look for drift": {"task": "handoff.look_for_drift", "schedule": schedule(60), "options": {"queue": "tests"}},
    "hash evidence again": {
        "task": "handoff.rehash_evidence",
        "schedule": crontab(hour=3, minute=10),
        "options": {"queue": "tests"},
    },
    "watch break-glass": {
        "task": "handoff.watch_break_glass",
        "schedule": schedule(30),
        "options": {"queue": "tests"},
    },
    "retire what is due": {"task": "handoff.retire_due", "schedule": schedule(60), "options": {"queue": "tests"}},
    "let names go": {
        "task": "handoff.let_names_go",
        "schedule": crontab(hour=4, minute=10),
        "options": {"queue": "tests"},
    },
    "watch waivers": {"task": "handoff.watch_waivers", "schedule": schedule(600), "options": {"queue": "tests"}},
    "stop what lapsed": {"task": "handoff.stop_lapsed", "schedule": schedule(60), "options": {"queue": "tests"}},
    "watch evidence": {"task": "handoff.watch_evidence", "schedule": schedule(3600), "options": {"queue": "tests"}},
    "probe engines": {"task": "handoff.probe", "schedule": schedule(60), "options": {"queue": "deployments"}},
    "ask streams": {"task": "handoff.ask_streams", "schedule": schedule(60), "options": {"queue": "deployments"}},
    "reconcile what engines serve": {
        "task": "handoff.reconcile",
        "schedule": schedule(60),
        "options": {"queue": "deployments"},
    },
    "check the invariants": {
        "task": "handoff.check_invariants",
        "schedule": crontab(minute=20),
        "options": {"queue": "tests"},
    },
    "ask how runs go": {"task": "handoff.watch_runs", "schedule": schedule(5), "options": {"queue": "deployments"}},
    "ask what engines count": {
        "task": "handoff.watch_counts",
        "schedule": schedule(60),
        "options": {"queue": "deployments"},
    },
    "run what is due": {"task": "handoff.run_due", "schedule": crontab(), "options": {"queue": "tests"}},
    "put engines right": {"task": "handoff.restore_again", "schedule": schedule(60), "options": {"queue": "tests"}},
}
JOB_LEASE_SECONDS = number("MDLC_JOB_LEASE", 30, least=2)
JOB_ATTEMPTS = 3
STOP_SECONDS = number("MDLC_STOP_SECONDS", 45, least=1)  # less than what whoever stops a worker waits for it
NAMES_GO_AFTER = timedelta(days=number("MDLC_NAMES_GO_AFTER_DAYS", 0))  # nothing: only by hand
NAMES_NOTICE = timedelta(days=number("MDLC_NAMES_NOTICE_DAYS", 30, least=1))
ENGINE_TOKEN = text("MDLC_ENGINE_TOKEN", "")  # set for the deployments worker only
TEST_LIMITS = {
    "seconds": number("MDLC_TEST_SECONDS", 120, least=1),
    "memory_mb": number("MDLC_TEST_MEMORY_MB", 2048, least=64),
}
RUNNER_HOST_APART = flag("MDLC_RUNNER_HOST_APART", default=False)  # said by whoever runs it, never found out

# What is written down
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            "foreign_pre_chain": [
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
            ],
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["console"], "level": text("LOG_LEVEL", "INFO")},
}
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
)
