"""What docs/operations.md tells operators to write against what is in no key, done as it says."""

import re

import pytest
from support.listener import Listener
from support.nginx import ROOT

TEXT = (ROOT / "docs/operations.md").read_text()
HEADERS = ["X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Protocol",
           "X-Forwarded-Scheme", "X-Forwarded-Ssl", "Forwarded", "X-HTTP-Method-Override",
           "X-Original-URL", "X-Rewrite-URL"]  # fmt: skip
SENT = [(name, "evil") for name in [*HEADERS, "X-Forwarded-Proto", "X-Other"]]


def block(section):
    return re.search(rf"^###? {section}\n.*?```nginx\n(.*?)```", TEXT, re.M | re.S)[1]


def test_the_headers_do_not_reach_the_application(start_nginx, origin):
    lines = block("Headers that are in no key")
    nginx = start_nginx(server=f"location / {{ proxy_pass {origin.url}; {lines} }}")
    nginx.get("/p", SENT)
    assert [origin.last.header(name) for name in HEADERS] == [None] * len(HEADERS)
    assert origin.last.header("X-Forwarded-Proto") == "http"
    assert origin.last.header("X-Other") == "evil"


@pytest.mark.parametrize("way", ["fastcgi", "uwsgi"])
def test_the_same_for_other_applications(start_nginx, way):
    asked = []

    def answer(connection):
        data = b""
        while b"HTTP_X_OTHER" not in data:
            data += connection.recv(65536)
        asked.append(data)
        connection.close()

    application = Listener(answer)
    nginx = start_nginx(
        server=f"location / {{ {way}_pass 127.0.0.1:{application.port};"
        f' {way}_param HTTP_X_FORWARDED_HOST ""; }}'
    )
    assert nginx.get("/p", [*SENT[:2], ("X-Other", "evil")]).status == 502
    application.close()
    assert b"X_FORWARDED_PORT" in asked[0] and b"X_FORWARDED_HOST" not in asked[0]
