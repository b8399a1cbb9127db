"""A browser without a window: cookies, forms, redirects that are followed by hand."""

import html
import re
from urllib.parse import urlencode

from support.http import Client

from .recipe import HOST


class Visitor:
    """`cookies` are those that it has from elsewhere (analytics)."""

    def __init__(self, nginx, cookies: dict[str, str] | None = None):
        self.nginx = nginx
        self.cookies = dict(cookies or {})

    def request(self, method, target, headers=None, body=None):
        headers = dict(headers or {})
        if self.cookies:
            pairs = self.cookies.items()
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in pairs)
        with Client(self.nginx.port, timeout=120, host=HOST) as client:
            response = client.request(method, target, headers, body)
        for line in response.all("Set-Cookie"):
            self._take(line)
        return response

    def _take(self, line: str):
        name, _, value = line.split(";")[0].partition("=")
        gone = re.search(r"expires=[^;]*(19[0-9][0-9]|20[01][0-9])|max-age=(0|-)", line, re.I)
        if gone or value in ("", "deleted"):
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value

    def get(self, target="/", headers=None):
        return self.request("GET", target, headers)

    def post(self, target, fields, headers=None):
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.request("POST", target, {**form, **(headers or {})}, urlencode(fields).encode())


def field(page: bytes, name: str) -> str:
    """The value of a field of a form."""
    tags = re.findall(rf"<input[^>]*\bname=[\"']{re.escape(name)}[\"'][^>]*>", page.decode())
    assert tags, f"no field {name} in {page.decode()[:2000]}"
    return html.unescape(re.search(r"value=[\"']([^\"']*)[\"']", tags[0])[1])
