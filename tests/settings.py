"""The portal's settings as tests see them: everything real but the outside world."""

import os

from tests.services import provide_services

TEST_ENVIRONMENT = {
    "SECRET_KEY": "for tests alone: nothing outside this run is signed with it",
    "STRIPE_SECRET_KEY": "sk_test_kessaitests00000000000000",
    "STRIPE_WEBHOOK_SECRET": "whsec_tests",
    "STRIPE_RATE_LIMIT_TEST": "2000",
    "EMAIL_URL": "memorymail://",
    "STATICFILES_STORAGE": "django.contrib.staticfiles.storage.StaticFilesStorage",
    "LOG_LEVEL": "WARNING",
}
for name, value in TEST_ENVIRONMENT.items():
    os.environ.setdefault(name, value)
provide_services()

from config.settings import *  # noqa: E402, F403 - settings read the environment, which stands now

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the real one is slow on purpose
