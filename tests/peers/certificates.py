"""A throw-away certificate authority, so that tests can be strict about TLS on loopback."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificate:
    """A server's side, and a client's side that trusts exactly this authority."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    chain_pem: bytes  # the server's certificate
    key_pem: bytes
    authority_pem: bytes

    def server_with_authority(self) -> ssl.SSLContext:
        """A server's side that presents its authority too, as DANE-TA wants."""
        return _server(self.chain_pem + self.authority_pem, self.key_pem)

    @property
    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.chain_pem.decode())

    @property
    def authority_der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.authority_pem.decode())


def certificate_for(*names: str, expired: bool = False) -> Certificate:
    """A fresh authority and a certificate of its for host names or IP addresses."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    authority = (
        _builder(issuer, issuer, authority_key.public_key(), expired=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    leaf = (
        _builder(subject, issuer, key.public_key(), expired=expired)
        .add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    authority_pem = authority.public_bytes(serialization.Encoding.PEM)
    chain_pem = leaf.public_bytes(serialization.Encoding.PEM)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    client = ssl.create_default_context(cadata=authority_pem.decode())
    return Certificate(_server(chain_pem, key_pem), client, chain_pem, key_pem, authority_pem)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, expired: bool
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 3 * day)
        .not_valid_after(now - day if expired else now + day)
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _server(chain_pem: bytes, key_pem: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        both = Path(folder) / "both.pem"  # load_cert_chain reads files only
        both.write_bytes(key_pem + chain_pem)
        context.load_cert_chain(both)
    return context
