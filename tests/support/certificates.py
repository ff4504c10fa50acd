"""An authority of the tests' own, and certificates that it has signed; made with the openssl program."""

import pathlib
import ssl
import subprocess

NAMES = "DNS:localhost,IP:127.0.0.1"


class Certificates:
    """An authority in `directory`, with a certificate for servers on this machine and one for clients."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.ca = self._path("ca.crt")
        self._openssl("req", "-x509", *self._new_key("ca"), "-days", "2", "-subj", "/CN=Test authority", "-out", self.ca)
        self.server_cert, self.server_key = self.make("server", NAMES)
        self.client_cert, self.client_key = self.make("client", "DNS:client.test")

    def make(self, name, alternative_names):
        """(certificate, key) of a party known by `alternative_names`."""
        request, certificate, key = (self._path(f"{name}.{suffix}") for suffix in ("csr", "crt", "key"))
        self._openssl("req", "-new", *self._new_key(name), "-subj", f"/CN={name}", "-out", request)
        extensions = self.directory / "extensions"
        extensions.write_text(f"subjectAltName={alternative_names}\n")
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._path("ca.key"), "-CAcreateserial",
                      "-days", "2", "-extfile", extensions, "-out", certificate)
        return certificate, key

    def encrypted_key(self, password):
        """The server's key behind a password."""
        path = self._path("server.encrypted.key")
        self._openssl("pkey", "-in", self.server_key, "-aes256", "-passout", f"pass:{password}", "-out", path)
        return path

    def client_context(self, shown=None, newest=None):
        """What a client of a server with `server_cert` needs; `shown` is its own (certificate, key)."""
        context = ssl.create_default_context(cafile=self.ca)
        if shown:
            context.load_cert_chain(*shown)
        if newest:
            context.maximum_version = newest
        return context

    @property
    def client_pair(self):
        return self.client_cert, self.client_key

    def redis_options(self, auth_clients="no"):
        """Of redis-server."""
        return ("--tls-cert-file", self.server_cert, "--tls-key-file", self.server_key, "--tls-ca-cert-file", self.ca,
                "--tls-auth-clients", auth_clients)

    def upstream(self, **more):
        """Settings of Larder's way to a redis-server with redis_options()."""
        return {"redis.tls.ca_cert_file": self.ca, **{f"redis.tls.{name}": value for name, value in more.items()}}

    def listener(self, port, **more):
        """Settings of Larder's own TLS port."""
        return {"tls.port": port, "tls.cert_file": self.server_cert, "tls.key_file": self.server_key,
                **{f"tls.{name}": value for name, value in more.items()}}

    def _new_key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self._path(f"{name}.key"))

    def _path(self, name):
        return str(self.directory / name)

    @staticmethod
    def _openssl(*arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {arguments[0]} failed:\n{done.stderr}")
