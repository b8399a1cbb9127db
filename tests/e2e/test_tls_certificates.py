"""Who the server is, is verified before anything is sent to it, the password included; and a server
may ask who we are."""

import ssl

import pytest
from support.ports import wait_for
from support.stored import key_of, page

STATUS = "redis_cache_status_header on; redis_cache_breaker off;"
PASSWORD = "s3cr3t-w0rd"


def login(server, host="127.0.0.1"):
    return server.url.replace("127.0.0.1", f":{PASSWORD}@{host}")


GOOD = [
    ("good", "", "127.0.0.1"),
    ("good", "", "localhost"),
    ("good", "127.0.0.1", "localhost"),
    ("good", "redis.test", "127.0.0.1"),
    ("good", "REDIS.test", "127.0.0.1"),
    ("named", "redis.test", "127.0.0.1"),
    ("wildcard", "a.redis.test", "127.0.0.1"),
    ("common", "redis.test", "127.0.0.1"),
    ("six", "::1", "127.0.0.1"),
    ("six", "0:0:0:0:0:0:0:1", "127.0.0.1"),
]


@pytest.mark.parametrize(("pair", "name", "host"), GOOD)
def test_the_right_server(serve, fake_tls_redis, certificates, pair, name, host):
    server = fake_tls_redis(getattr(certificates, pair))
    named = f"redis_cache_ssl_name {name};" if name else ""
    nginx = serve(f"{STATUS} {certificates.trusted} {named}", target=login(server, host))
    for _ in range(2):
        assert nginx.get("/p").cache == ("hit", "fresh")
    # SNI carries names, never addresses.
    asked = name or host
    is_address = asked == "127.0.0.1" or ":" in asked
    assert server.names[0] == (None if is_address else asked)
    assert server.commands[0][2:5] == [b"AUTH", b"default", PASSWORD.encode()]


WRONG = [
    ("named", "", "tls_name"),
    ("named", "other.test", "tls_name"),
    ("good", "other.test", "tls_name"),
    ("good", "127.0.0.2", "tls_name"),
    ("good", "::1", "tls_name"),
    ("six", "", "tls_name"),
    ("good", "a.redis.test", "tls_name"),
    ("wildcard", "redis.test", "tls_name"),
    ("wildcard", "a.b.redis.test", "tls_name"),
    ("expired", "", "tls_expired"),
    ("future", "", "tls_expired"),
    ("untrusted", "", "tls_untrusted"),
]


@pytest.mark.parametrize("setup", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(("pair", "name", "reason"), WRONG)
def test_the_wrong_server(serve, fake_tls_redis, certificates, pair, name, reason, setup):
    def one_version(context):
        context.minimum_version = context.maximum_version = setup

    server = fake_tls_redis(getattr(certificates, pair), one_version)
    named = f"redis_cache_ssl_name {name};" if name else ""
    nginx = serve(f"{STATUS} {certificates.trusted} {named}", target=login(server))
    for _ in range(3):
        response = nginx.get("/p")
        assert (response.body, response.cache) == (b"app GET /p", ("fwd=miss", reason))
    assert server.commands == []
    assert len([line for line in nginx.warnings() if f"redis_cache: {reason}: " in line]) == 1
    assert PASSWORD not in nginx.error_log()


@pytest.mark.parametrize(("pair", "name"), [(pair, name) for pair, name, _ in WRONG])
def test_without_verification(serve, fake_tls_redis, certificates, pair, name):
    server = fake_tls_redis(getattr(certificates, pair))
    named = f"redis_cache_ssl_name {name};" if name else ""
    nginx = serve(f"{STATUS} redis_cache_ssl_verify off; {named}", target=server.url)
    assert nginx.get("/p").cache == ("hit", "fresh")


def test_the_password_stands_in_no_log(serve, start_tls_redis, certificates):
    server = start_tls_redis("--requirepass", PASSWORD)
    for given in [PASSWORD, f"{PASSWORD}x"]:
        url = server.url.replace("127.0.0.1", f":{given}@127.0.0.1")
        nginx = serve(f"{STATUS} {certificates.trusted}", target=url, error_level="debug")
        answers = {PASSWORD: ("fwd=uri-miss", "absent")}
        assert nginx.get("/p").cache == answers.get(given, ("fwd=miss", "noauth"))
        nginx.stop()
        assert PASSWORD not in nginx.error_log() + "".join(nginx.access_log())


def test_the_authorities_of_the_system(serve, fake_tls_redis, certificates, monkeypatch):
    """OpenSSL reads SSL_CERT_FILE where it would read the system's authorities."""
    server = fake_tls_redis()
    nginx = serve(STATUS, target=server.url)
    assert nginx.get("/p").cache == ("fwd=miss", "tls_untrusted")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority.certificate))
    nginx = serve(STATUS, target=server.url)
    assert nginx.get("/p").cache == ("hit", "fresh")


def test_a_cipher_without_certificates_is_no_way_around(serve, fake_tls_redis, certificates):
    def anonymous(context):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AECDH:@SECLEVEL=0")

    server = fake_tls_redis(setup=anonymous)
    ciphers = 'redis_cache_ssl_ciphers "AECDH:@SECLEVEL=0";'
    nginx = serve(f"{STATUS} {certificates.trusted} {ciphers}", target=login(server))
    response = nginx.get("/p")
    assert (response.body, response.cache) == (b"app GET /p", ("fwd=miss", "tls"))
    wait_for(lambda: server.resumed, "the server's end of the handshake")
    assert server.commands == []


def client_certificate(pair):
    return (
        f"redis_cache_ssl_certificate {pair.certificate}; "
        f"redis_cache_ssl_certificate_key {pair.key};"
    )


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_server_that_wants_a_certificate(serve, start_tls_redis, certificates, version):
    server = start_tls_redis("--tls-auth-clients", "yes")
    protocols = f"redis_cache_ssl_protocols {version}; {certificates.trusted}"
    ours = client_certificate(certificates.client)
    nginx = serve(f"{STATUS} {protocols} {ours}", target=server.url)
    server.set(key_of(nginx, "/p"), page("stored"))
    for _ in range(2):
        assert nginx.get("/p").body == b"stored"
    for wrong in ["", client_certificate(certificates.wrong_client)]:
        nginx = serve(f"{STATUS} {protocols} {wrong}", target=server.url)
        for _ in range(3):
            response = nginx.get("/p")
            assert (response.body, response.cache) == (b"app GET /p", ("fwd=miss", "tls"))


def test_a_renewed_certificate_is_read_on_reload(serve, start_tls_redis, certificates, tmp_path):
    from test_reload import gone, reload

    server = start_tls_redis("--tls-auth-clients", "yes")
    files = [tmp_path / "client.pem", tmp_path / "client.key"]

    def install(pair):
        for file, new in zip(files, [pair.certificate, pair.key]):
            file.write_bytes(new.read_bytes())

    install(certificates.wrong_client)
    ours = (
        f"redis_cache_ssl_certificate {files[0]}; redis_cache_ssl_certificate_key {files[1]};"
    )
    nginx = serve(f"{STATUS} {certificates.trusted} {ours}", target=server.url)
    server.set(key_of(nginx, "/p"), page("stored"))
    assert nginx.get("/p").cache == ("fwd=miss", "tls")
    install(certificates.client)
    gone(nginx, reload(nginx))
    assert nginx.get("/p").body == b"stored"
