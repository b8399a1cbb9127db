"""Settings of the demo: a few pages, no database."""

import os
import secrets
from pathlib import Path

SECRET_KEY = secrets.token_urlsafe()
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "mysite.urls"
# The time on the page is that of this machine.
USE_TZ = False
TIME_ZONE = None

# The Redis and the database that nginx reads from.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ["PAGES_URL"],
    }
}

# A page is compressed once, when it is stored.
NGINX_REDIS_CACHE = {"COMPRESS": "gzip"}

INSTALLED_APPS = ["nginx_redis_cache"]

# Pages are stored as they leave the last middleware, so this one stands first.
MIDDLEWARE = [
    "nginx_redis_cache.middleware.UpdateCacheMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).resolve().parent / "templates"],
    }
]
