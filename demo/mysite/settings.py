"""Settings of the demo: one page, no database."""

import os
import secrets
from pathlib import Path

# The Redis and the database that nginx reads from, and how long a page stays there.
PAGES_URL = os.environ["PAGES_URL"]
PAGES_SECONDS = 60

# What stands in front of every key, here and in nginx's redis_cache_key.
PAGES_PREFIX = ":1:"

SECRET_KEY = secrets.token_urlsafe()
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "mysite.urls"
# The time on the page is that of this machine.
USE_TZ = False
TIME_ZONE = None

# The page is stored as it leaves the last middleware, so this one stands first.
MIDDLEWARE = [
    "mysite.store.StorePages",
    "django.middleware.common.CommonMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).resolve().parent / "templates"],
    }
]
