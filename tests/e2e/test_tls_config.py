"""What `nginx -t` says of TLS: sentences for what cannot be, and nothing of files' contents."""

import pytest
from support.checks import location

URL = "rediss://127.0.0.1:6399/1"
PLAIN = "redis://127.0.0.1:6399/1"


def refused(result, *words):
    passed, said = result
    assert not passed
    line = [line for line in said.splitlines() if "[emerg]" in line][-1]
    for word in words:
        assert word in line, line
    return said


@pytest.mark.parametrize(("directive", "allowed"), [
    ("redis_cache_ssl_verify yes", "on or off"),
    ("redis_cache_ssl_verify optional", "on or off"),
    ("redis_cache_ssl_protocols TLSv1.1", "TLSv1.2 or TLSv1.3"),
    ("redis_cache_ssl_protocols TLSv1.2 SSLv3", "TLSv1.2 or TLSv1.3"),
    ("redis_cache_ssl_name " + "n" * 256, "at most 255 bytes"),
    ('redis_cache_ssl_name ""', "or an IP address"),
    ("redis_cache_ssl_name $host", "without variables"),
    ('redis_cache_ssl_trusted_certificate ""', "the path of a file"),
    ("redis_cache_ssl_certificate $ssl_client_cert", "without variables"),
    ('redis_cache_ssl_certificate_key ""', "the path of a file"),
    ('redis_cache_ssl_ciphers ""', "a list of ciphers"),
])  # fmt: skip
@pytest.mark.parametrize("url", [URL, PLAIN])
def test_wrong_values(check, directive, allowed, url):
    name, value = directive.split(" ", 1)
    said = refused(check(location(f"{directive};", url)), name, allowed, "nginx.conf:")
    assert value.split()[-1].strip('"') in said


@pytest.mark.parametrize("name", ["verify on", "name h", "trusted_certificate /f", "ciphers X",
                                  "certificate /f", "certificate_key /f",
                                  "protocols TLSv1.2"])  # fmt: skip
def test_twice_in_one_level(check, name):
    directive = f"redis_cache_ssl_{name};"
    refused(check(location(directive * 2, URL)), directive.split()[0], "is duplicate")


@pytest.mark.parametrize(("given", "missing"), [("certificate", "certificate_key"),
                                                ("certificate_key", "certificate")])  # fmt: skip
def test_half_of_a_certificate(check, certificates, given, missing):
    directive = f"redis_cache_ssl_{given} {certificates.client.certificate};"
    result = check(location(directive, URL))
    refused(result, f"redis_cache_ssl_{given} ", f"without redis_cache_ssl_{missing}", "name the file")
    assert check(location(directive, PLAIN))[0]


def test_files_that_cannot_be_used(check, certificates, tmp_path):
    (tmp_path / "text").write_text("no certificate\n")
    client, key = certificates.client.certificate, certificates.client.key
    for directives, name in [
        ("redis_cache_ssl_trusted_certificate none.pem;", "trusted_certificate none.pem"),
        (f"redis_cache_ssl_trusted_certificate {tmp_path}/text;", "trusted_certificate"),
        (f"redis_cache_ssl_certificate none.pem; redis_cache_ssl_certificate_key {key};",
         "certificate none.pem"),
        (f"redis_cache_ssl_certificate {client}; redis_cache_ssl_certificate_key none.key;",
         "redis_cache_ssl_certificate"),
        (f"redis_cache_ssl_certificate {client};"
         f"redis_cache_ssl_certificate_key {certificates.good.key};", "redis_cache_ssl_certificate"),
        ("redis_cache_ssl_ciphers none;", "redis_cache_ssl_ciphers none"),
    ]:  # fmt: skip
        said = refused(check(location(directives, URL)), name, "as the line above says")
        assert any("SSL" in line for line in said.splitlines() if "[emerg]" in line)
        # Without TLS nobody looks at the files.
        assert check(location(directives, PLAIN))[0]


def test_a_key_with_a_passphrase_is_refused_and_not_asked_for(check, certificates):
    locked = certificates.locked
    directives = (
        f"redis_cache_ssl_certificate {locked.certificate};"
        f"redis_cache_ssl_certificate_key {locked.key};"
    )
    said = refused(check(location(directives, URL)), "redis_cache_ssl_certificate")
    assert "pass phrase" not in said


def test_paths_begin_at_the_configuration(check, certificates, tmp_path):
    (tmp_path / "check0").mkdir()
    (tmp_path / "check0/ca.pem").write_bytes(certificates.authority.certificate.read_bytes())
    passed, said = check(location("redis_cache_ssl_trusted_certificate ca.pem;", URL))
    assert passed, said


@pytest.mark.parametrize("level", ["location", "http"])
def test_blocking_speaks_no_tls(check, level):
    blocking = "redis_cache_io blocking;"
    server = location(blocking if level == "location" else "", URL)
    result = check(server, http=blocking if level == "http" else "")
    refused(result, "redis_cache_io blocking", "127.0.0.1:6399/1", "use redis_cache_io event")
    in_place = f"location / {{ redis_cache {URL}; {blocking} return 200; }}"
    refused(check(in_place), '"redis_cache"', "use redis_cache_io event")


SETTINGS = [
    "redis_cache_ssl_verify off;", "redis_cache_ssl_name h;", "redis_cache_ssl_ciphers HIGH;",
    "redis_cache_ssl_protocols TLSv1.3;", "redis_cache_ssl_trusted_certificate CA;",
    "redis_cache_ssl_certificate CERT; redis_cache_ssl_certificate_key KEY;",
]  # fmt: skip


@pytest.mark.parametrize("setting", SETTINGS)
def test_locations_that_disagree_about_one_endpoint(check, certificates, setting):
    for word, path in [("CA", certificates.authority.certificate),
                       ("CERT", certificates.client.certificate),
                       ("KEY", certificates.client.key)]:  # fmt: skip
        setting = setting.replace(f" {word};", f" {path};")
    other = "location /b {{ redis_cache_pass {}; redis_cache_fallback @app; }}"
    refused(check(location(setting, URL) + other.format(URL)), setting.split()[0], "differs")
    # Another database is another endpoint, and so is the same one without TLS.
    for url in [f"{URL}2", PLAIN]:
        passed, said = check(location(setting, URL) + other.format(url))
        assert passed, said
    passed, said = check(location(setting, URL) + other.format(URL).replace("}", setting + "}"))
    assert passed, said
