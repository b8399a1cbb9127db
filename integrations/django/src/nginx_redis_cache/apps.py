from __future__ import annotations

from django.apps import AppConfig


class NginxRedisCacheConfig(AppConfig):
    name = "nginx_redis_cache"
    verbose_name = "nginx-redis-cache"

    def ready(self) -> None:
        from . import checks  # noqa: F401
