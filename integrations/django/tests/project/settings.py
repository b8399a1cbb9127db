"""A site with everything that Django adds to a response: sessions, users, messages, languages.

The environment says which Redis, cache and form; the tests of the package change settings
themselves, those with nginx start this project under gunicorn.
"""

import json
import os

SECRET_KEY = "of the tests"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver", "www.example.com"]
ROOT_URLCONF = "project.urls"
USE_TZ = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/1")
BACKENDS = {
    "django": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
    },
    "django-redis": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"CLIENT_CLASS": "nginx_redis_cache.clients.DefaultClient"},
    },
}
# The article's, but for the module path of django-redis.
BACKENDS["article"] = {
    "BACKEND": "django_redis.cache.RedisCache",
    "LOCATION": REDIS_URL.removeprefix("redis://").replace("/", ":"),
    "OPTIONS": {"CLIENT_CLASS": "nginx_redis_cache.clients.DefaultClient"},
}
CACHES = {"default": BACKENDS[os.environ.get("CACHE", "django")]}
NGINX_REDIS_CACHE = json.loads(os.environ.get("NGINX_REDIS_CACHE", "{}"))

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", ":memory:"),
    }
}

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "nginx_redis_cache",
    "project",
]

MIDDLEWARE = [
    "nginx_redis_cache.middleware.UpdateCacheMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

if "LOCALE" in os.environ:
    MIDDLEWARE.insert(3, "django.middleware.locale.LocaleMiddleware")

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "loaders": [
                (
                    "django.template.loaders.locmem.Loader",
                    {
                        "plain.html": "{{ n }}",
                        "csrf.html": "{% csrf_token %}{{ n }}",
                        "user.html": "hello {{ user.get_username|default:'nobody' }} {{ n }}",
                        "messages.html": "{% for m in messages %}{{ m }} {% endfor %}{{ n }}",
                    },
                )
            ],
        },
    }
]
