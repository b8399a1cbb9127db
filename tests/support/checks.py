"""Pieces of configurations for `nginx -t`."""

URL = "redis://127.0.0.1:6399/1"
APP = "location @app { return 200 app; }"


def location(directives, url=URL):
    """A location that is right but for the directives."""
    return f"location / {{ redis_cache_pass {url}; redis_cache_fallback @app; {directives} }}"
