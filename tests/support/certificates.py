"""Certificates of every kind, made for a test: authorities, and what they issue."""

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


@dataclass
class Pair:
    """The files of a certificate and of its key."""

    certificate: Path
    key: Path


class Authority:
    """Its own certificate is in `certificate`; what it issues lies beside it."""

    def __init__(self, directory: Path, name: str):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(self.name, self.key, -DAY, 10 * DAY).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.certificate = directory / f"{name}.pem"
        self.certificate.write_bytes(_pem(builder.sign(self.key, hashes.SHA256())))

    def _builder(self, subject, key, begins, ends) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
        )

    def issue(self, name, names=(), addresses=(), begins=-DAY, ends=DAY, passphrase=None) -> Pair:
        """A certificate for servers and clients, valid for `names` and IP `addresses` from
        `begins` to `ends`, counted from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        alternatives = [
            *(x509.DNSName(one) for one in names),
            *(x509.IPAddress(ipaddress.ip_address(one)) for one in addresses),
        ]
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = self._builder(subject, key, begins, ends).add_extension(
            x509.ExtendedKeyUsage(uses), critical=False
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
        pair = Pair(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        pair.certificate.write_bytes(_pem(builder.sign(self.key, hashes.SHA256())))
        encryption = (
            serialization.BestAvailableEncryption(passphrase)
            if passphrase
            else serialization.NoEncryption()
        )
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
            )
        )
        return pair


def _pem(certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class Certificates:
    """The usual ones. Servers listen on 127.0.0.1, and some are known as redis.test too."""

    def __init__(self, directory: Path):
        self.authority = Authority(directory / "ours", "authority")
        self.stranger = Authority(directory / "theirs", "stranger")
        issue, here = self.authority.issue, {"addresses": ["127.0.0.1"]}
        self.good = issue("good", ["redis.test", "localhost"], **here)
        self.six = issue("six", addresses=["::1"])
        self.named = issue("named", ["redis.test"])
        self.wildcard = issue("wildcard", ["*.redis.test"])
        self.common = issue("redis.test")
        self.expired = issue("expired", **here, begins=-2 * DAY, ends=-DAY)
        self.future = issue("future", **here, begins=DAY, ends=2 * DAY)
        self.untrusted = self.stranger.issue("untrusted", **here)
        self.client = issue("client")
        self.wrong_client = self.stranger.issue("wrong_client")
        self.locked = issue("locked", passphrase=b"word")

    @property
    def trusted(self) -> str:
        """The directive that trusts what the authority issued."""
        return f"redis_cache_ssl_trusted_certificate {self.authority.certificate};"
