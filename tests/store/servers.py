"""Real servers, started on free ports of this machine, for the tests of remote stores."""

import contextlib
import fcntl
import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / ".cache"
AZURITE_ACCOUNT = "devstoreaccount1"
# The key that every Azurite has, from its documentation.
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Missing(Exception):
    """A part of the system is not there; the message names it."""


@contextlib.contextmanager
def needed():
    """Skip, by its name, what needs a part of the system that is not there; where all are installed first, fail."""
    try:
        yield
    except Missing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextlib.contextmanager
def moto(fault=lambda _environ: None):
    """Run moto, one request at a time: it checks and then sets, which is no put-if-absent.

    `fault` tells for each request whether it fails: None, or a status, and whether it is carried out all the same.
    """
    import boto3
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *args):
            pass

    application, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def one_at_a_time(environ, start_response):
        failure = fault(environ)
        with lock:
            if failure is None:
                return [b"".join(application(environ, start_response))]
            status, applied = failure
            if applied:
                b"".join(application(environ, lambda *_: None))
            else:
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response(f"{status} On purpose", [("Content-Type", "application/xml")])
        return [b"<Error><Code>OnPurpose</Code><Message>m</Message></Error>"]

    server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    with serving(server):
        url = f"http://127.0.0.1:{server.server_port}"
        client = boto3.Session("id", "any", region_name="us-east-1").client("s3", endpoint_url=url)
        client.create_bucket(Bucket="bucket")
        client.close()
        yield url


@contextlib.contextmanager
def silent():
    """Take every connection and never answer, as a machine does that hangs; give the port."""
    taken = []

    def take(server):
        with contextlib.suppress(OSError):  # closed: it is over
            while True:
                taken.append(server.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=take, args=(server,), daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    for connection in taken:
        connection.close()


@contextlib.contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def azurite():
    """Run Azurite from npm, installed once below ``.cache``."""
    for tool in ("npm", "node"):
        if shutil.which(tool) is None:
            raise Missing(f"{tool} is not installed, so Azurite cannot be: apt-get install npm")
    port = free_port()
    command = [_azurite(), "--blobPort", str(port), "--inMemoryPersistence"]
    with running([*command, "--silent", "--skipApiVersionCheck", "--disableTelemetry"], port):
        yield f"http://127.0.0.1:{port}/{AZURITE_ACCOUNT}"


def _azurite():
    program = CACHE / "azurite" / "node_modules" / ".bin" / "azurite-blob"
    CACHE.mkdir(exist_ok=True)
    with open(CACHE / "azurite.lock", "w") as lock:  # test workers start at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            command = [
                "npm",
                "install",
                "--silent",
                "--no-audit",
                "--no-fund",
                "--prefix",
                program.parents[2],
                "azurite@3",
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Missing(f"npm cannot install Azurite: {done.stderr.strip()}")
    return str(program)


@contextlib.contextmanager
def sshd(folder, *, options=""):
    """Run sshd as this user, with keys of its own; `folder` becomes a home whose ``.ssh`` reaches it."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Missing("sshd is not installed: apt-get install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    settings = folder / ".ssh"
    settings.mkdir(mode=0o700)
    for name in ("host", "user"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", settings / name]
        subprocess.run(keygen, check=True, stdin=subprocess.DEVNULL)
    port = free_port()
    (settings / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {settings}/host\nAuthorizedKeysFile {settings}/user.pub\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
        f"MaxStartups 100\nSubsystem sftp internal-sftp {options}\n"
    )
    known = f"[127.0.0.1]:{port} {(settings / 'host.pub').read_text()}"
    (settings / "known_hosts").write_text(known)
    (settings / "config").write_text(
        f"Host store-server\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {settings}/user\n  UserKnownHostsFile {settings}/known_hosts\n"
    )
    with running([program, "-D", "-e", "-f", str(settings / "sshd_config")], port):
        yield port


@contextlib.contextmanager
def running(command, port):
    """Run a program until it has opened its port, and end it afterwards."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 60
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    raise RuntimeError(f"{command[0]} did not start: {said.read().decode()}")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Cutter:
    """A proxy that can lose the answer to a request which the server has carried out.

    `lose` is the number of answers still to be lost, after `skip` that are not.
    """

    def __init__(self, port):
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.skip = self.lose = 0
        self._ends = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._ends += [client, server]
                for act in (self._ask, self._answer):
                    thread = threading.Thread(target=act, args=(client, server), daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _ask(self, client, server):
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _answer(self, client, server):
        with contextlib.suppress(OSError), client, server:
            while data := server.recv(1 << 16):
                if self.lose and not data.startswith(b"HTTP/1.1 100"):
                    if not self.skip:
                        self.lose -= 1
                        client.shutdown(socket.SHUT_RDWR)
                        break
                    self.skip -= 1
                client.sendall(data)


class Shortener:
    """A proxy for HTTP that can cut the body of the next answer that has one: its head is whole, and names the length.

    `kept` is the fraction that is let through, None for all; `cut` counts what was cut, `asked` the answers since then.
    """

    def __init__(self, port):
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.kept, self.asked, self.cut = None, 0, 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                asking = threading.Event()
                for act in (self._ask, self._answer):
                    threading.Thread(target=act, args=(client, server, asking), daemon=True).start()

    def _ask(self, client, server, head):
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                head.set() if data.startswith(b"HEAD ") else head.clear()
                server.sendall(data)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _answer(self, client, server, head):
        with contextlib.suppress(OSError), client, server, server.makefile("rb") as answers:
            while lines := self._head(answers):
                fields = dict(line.lower().split(b": ", 1) for line in lines[1:])
                length = 0 if head.is_set() else int(fields.get(b"content-length", 0))
                body = answers.read(length)
                if fields.get(b"transfer-encoding") == b"chunked" and not head.is_set():
                    body, length = self._chunks(answers), 0
                client.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
                if lines[0].startswith(b"HTTP/1.1 100"):
                    continue
                self.asked += 1
                if self.kept is not None and length:
                    body, self.kept, self.cut, self.asked = body[: int(length * self.kept)], None, self.cut + 1, 0
                    client.sendall(body)
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(body)

    @staticmethod
    def _head(answers):
        lines = []
        while line := answers.readline().rstrip(b"\r\n"):
            lines.append(line)
        return lines

    @staticmethod
    def _chunks(answers):
        data = b""
        while True:
            size = answers.readline()
            data += size + answers.read(int(size, 16) + 2)
            if not int(size, 16):
                return data


@contextlib.contextmanager
def refusing(status, headers, body):
    """Answer every request the same; yields the address and the list of requests."""
    asked = []

    class Refusing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __getattr__(self, name):
            if name.startswith("do_"):
                return self.refuse
            raise AttributeError(name)

        def refuse(self):
            asked.append(f"{self.command} {self.path}")
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def handle_expect_100(self):
            return True  # the refusal is the answer

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    server.daemon_threads = True
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}", asked
