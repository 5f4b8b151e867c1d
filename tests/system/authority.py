"""A certificate authority for tests, and servers that show what it signed."""

import datetime
import ipaddress
import socket
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def is_address(host):
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False


class Authority:
    def __init__(self, folder, name="authority"):
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(
            self.subject, self.key, x509.BasicConstraints(ca=True, path_length=None), -2, 2
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, subject, key, extension, from_day, to_day):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + from_day * DAY)
            .not_valid_after(now + to_day * DAY)
            .add_extension(extension, critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def issue(self, host="localhost", from_day=-1, to_day=1, also=()):
        """A PEM file of a certificate for the host, and for others by the same name, and its
        key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [
            x509.IPAddress(ipaddress.ip_address(name)) if is_address(name) else x509.DNSName(name)
            for name in (host, *also)
        ]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        certificate = self._sign(
            subject, key, x509.SubjectAlternativeName(names), from_day, to_day
        )
        file = self.folder / f"{self.name}-{host}-{from_day}-{to_day}.pem"
        file.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return file


class Shown:
    """Listens on loopback, shows the certificate to whoever connects, and says nothing more."""

    def __init__(self, certificate=None):
        self.context = None
        if certificate is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(certificate)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            try:
                if self.context is not None:
                    connection = self.context.wrap_socket(connection, server_side=True)
                self._talk(connection)
            except OSError:
                pass
            connection.close()

    def _talk(self, connection):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Front(Shown):
    """Passes one request after another on to an HTTP server on loopback, each with a connection of
    its own."""

    def __init__(self, certificate, port):
        self.server = ("127.0.0.1", port)
        super().__init__(certificate)

    def _talk(self, connection):
        connection.settimeout(10)
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(65536) or b"\r\n\r\n"
        with socket.create_connection(self.server, timeout=10) as server:
            server.sendall(request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
            while answer := server.recv(65536):
                connection.sendall(answer)
