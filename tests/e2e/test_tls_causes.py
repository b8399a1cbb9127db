"""Why TLS to Redis failed is in the error log in the words of OpenSSL."""

import ssl

import pytest
from support.listener import Listener

STATUS = "redis_cache_status_header on; redis_cache_breaker off;"


def line(nginx) -> str:
    [line] = nginx.warnings()
    return line


WRONG = [
    ("good", "other.test", "tls_name", "62: hostname mismatch"),
    ("good", "127.0.0.2", "tls_name", "64: IP address mismatch"),
    ("expired", "", "tls_expired", "10: certificate has expired"),
    ("future", "", "tls_expired", "9: certificate is not yet valid"),
    ("untrusted", "", "tls_untrusted", "20: unable to get local issuer certificate"),
]


@pytest.mark.parametrize(("pair", "name", "reason", "cause"), WRONG)
def test_a_certificate_that_is_refused(
    serve, fake_tls_redis, certificates, pair, name, reason, cause
):
    server = fake_tls_redis(getattr(certificates, pair))
    named = f"redis_cache_ssl_name {name};" if name else ""
    nginx = serve(f"{STATUS} {certificates.trusted} {named}", target=server.url)
    assert nginx.get("/p").cache == ("fwd=miss", reason)
    assert f"(127.0.0.1:{server.port}/1, {cause})" in line(nginx).lower().replace("ip", "IP")


def test_a_server_without_tls(serve, certificates):
    def answer(conn):
        conn.recv(65536)
        conn.sendall(b"-ERR Protocol error\r\n")
        conn.close()

    listener = Listener(answer)
    target = f"rediss://127.0.0.1:{listener.port}/1"
    nginx = serve(f"{STATUS} {certificates.trusted}", target=target)
    assert nginx.get("/p").cache == ("fwd=miss", "tls")
    assert "wrong version number" in line(nginx)
    listener.close()


def test_no_version_in_common(serve, fake_tls_redis, certificates):
    def old(context):
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    server = fake_tls_redis(setup=old)
    versions = "redis_cache_ssl_protocols TLSv1.3;"
    nginx = serve(f"{STATUS} {certificates.trusted} {versions}", target=server.url)
    assert nginx.get("/p").cache == ("fwd=miss", "tls")
    assert "alert protocol version" in line(nginx)


def test_a_server_that_wants_a_certificate(serve, start_tls_redis, certificates):
    server = start_tls_redis("--tls-auth-clients", "yes")
    nginx = serve(f"{STATUS} {certificates.trusted}", target=server.url)
    assert nginx.get("/p").cache == ("fwd=miss", "tls")
    assert "alert" in line(nginx) and "certificate" in line(nginx).partition("SSL: error")[2]
