"""One request over the network: what misbehaves harms nobody, and what was checked is what is connected to."""

import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ops.effects.destinations import addresses
from ops.effects.destinations.wire import KEPT_BYTES, Answer, Failure, Request, exchange
from tests.ops.destinations.server import Reply, Server, serving

BUDGET = 0.3  # seconds for an exchange that is going to time out
PLENTY = 10.0  # seconds for one that is not; one that times out ends long before, however busy the machine is


def ask(server: Server, *, url: str = "", seconds: float = PLENTY, body: bytes = b"{}") -> Answer | Failure:
    return exchange(Request("POST", url or f"{server.url}/x", (("X-A", "b"),), body), seconds=seconds)


def test_an_answer_is_read_with_the_address_that_gave_it(server):
    server.replies = [Reply(201, "made", {"X-Id": "7"})]
    came = ask(server)
    assert isinstance(came, Answer)
    assert (came.status, came.body, came.cut, came.address) == (201, b"made", False, "127.0.0.1")
    assert came.header("x-id") == "7"


# what the server does, and how that is called
@pytest.mark.parametrize(
    ("misdeed", "name"),
    [
        ("hang", "TimedOut"),
        ("drip", "TimedOut"),
        ("endless_headers", "AnswerMalformed"),
        ("garbage", "AnswerMalformed"),
        ("slam", "ConnectionBroken"),
    ],
)
def test_a_misdeed_has_a_name_and_keeps_to_the_time_out(server, misdeed, name):
    server.replies = [getattr(server, misdeed)]
    began = time.monotonic()
    came = ask(server, seconds=BUDGET if name == "TimedOut" else PLENTY)
    assert isinstance(came, Failure)
    assert (came.name, came.final) == (name, False)
    assert time.monotonic() - began < PLENTY


def test_of_ten_gigabytes_no_more_is_read_than_is_kept(server):
    server.replies = [server.flood]
    came = ask(server)
    assert isinstance(came, Answer)
    assert (came.status, len(came.body), came.cut) == (200, KEPT_BYTES, True)


def test_a_body_that_breaks_off_is_cut_and_its_status_counts(server):
    server.replies = [server.break_off]
    came = ask(server)
    assert isinstance(came, Answer)
    assert (came.status, came.body, came.cut) == (200, b"half", True)


def test_an_answer_that_unpacks_to_much_is_not_unpacked(server):
    packed = b"\x1f\x8b" + b"0" * 1000
    server.replies = [Reply(200, packed, {"Content-Encoding": "gzip"})]
    came = ask(server)
    assert isinstance(came, Answer)
    assert came.body == packed


def test_nobody_listening_has_a_name(server):
    with serving() as gone:
        url = f"{gone.url}/x"
    came = ask(server, url=url)
    assert isinstance(came, Failure)
    assert (came.name, came.final) == ("ConnectionRefused", False)


def test_a_header_that_would_be_two_is_not_sent(server):
    came = exchange(Request("POST", server.url, (("X-A", "b\r\nX-Evil: 1"),)), seconds=PLENTY)
    assert isinstance(came, Failure)
    assert (came.name, came.final) == ("RequestMalformed", True)
    assert "Evil" not in came.error
    assert server.received == []


def test_a_proxy_of_the_environment_is_not_asked(server, other_server, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, other_server.url)
    assert isinstance(ask(server), Answer)
    assert other_server.received == []


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What the resolver says: the one thing that these tests make up."""
    known: dict[str, list[str]] = {}
    monkeypatch.setattr(addresses, "resolve", lambda host, port: known[host])
    return known


# what a name stands for; the first two are all that is forbidden in the settings of a deployment
@pytest.mark.parametrize(
    "found", [["169.254.169.254"], ["10.0.0.7"], ["93.184.215.14", "10.0.0.7"], ["::ffff:127.0.0.1"]]
)
def test_a_name_that_leads_to_a_private_address_is_refused_for_good(server, names, settings, found):
    settings.DESTINATIONS_ALLOWED_NETWORKS = []
    names["hooks.example"] = found
    came = ask(server, url=f"https://hooks.example:{server.port}/x")
    assert isinstance(came, Failure)
    assert (came.name, came.final) == ("AddressRefused", True)
    assert server.received == []


def test_this_machine_is_refused_where_it_is_not_allowed(server, settings):
    settings.DESTINATIONS_ALLOWED_NETWORKS = []
    for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
        came = ask(server, url=f"http://{host}:{server.port}/x")
        assert isinstance(came, Failure), host
        assert came.name == "AddressRefused"
    assert server.received == []


def test_without_encryption_a_public_address_is_refused(server, names):
    names["hooks.example"] = ["93.184.215.14"]
    came = ask(server, url="http://hooks.example/x")
    assert isinstance(came, Failure)
    assert came.name == "AddressRefused"
    assert "encryption" in came.sentence


def test_a_port_of_another_service_is_refused(server, names):
    names["mail.example"] = ["93.184.215.14"]
    came = ask(server, url="https://mail.example:25/")
    assert isinstance(came, Failure)
    assert "Port 25" in came.sentence


def test_a_name_that_turns_private_after_the_check_is_not_followed(server, monkeypatch):
    """DNS rebinding: what is connected to is the address of the one lookup, whatever the name says next."""
    looked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        looked.append(host)
        return ["127.0.0.1"] if len(looked) == 1 else ["127.0.0.66"]

    monkeypatch.setattr(addresses, "resolve", resolve)
    came = ask(server, url=f"http://rebinding.example:{server.port}/x")
    assert isinstance(came, Answer)
    assert came.address == "127.0.0.1"
    assert looked == ["rebinding.example"]
    assert server.received[0].headers["host"] == f"rebinding.example:{server.port}"


def test_the_next_address_of_a_name_is_tried_where_the_first_does_not_answer(server, names, settings):
    settings.DESTINATIONS_ALLOWED_NETWORKS = ["127.0.0.0/8", "::1/128"]
    names["hooks.example"] = ["::1", "127.0.0.1"]
    came = ask(server, url=f"http://hooks.example:{server.port}/x")
    assert isinstance(came, Answer)
    assert came.address == "127.0.0.1"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for hooks.example, and the key for it, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "hooks.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def asked_for() -> list[str | None]:
    """The names that clients asked for in TLS."""
    return []


@pytest.fixture
def tls_server(certificate: Path, asked_for: list[str | None]) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    with serving(context) as server:
        yield server


def test_over_tls_the_name_is_asked_for_and_verified_at_the_checked_address(
    tls_server, asked_for, certificate, names, settings
):
    settings.DESTINATIONS_CA_FILE = str(certificate)
    names["hooks.example"] = ["127.0.0.1"]
    came = ask(tls_server, url=f"https://hooks.example:{tls_server.port}/x")
    assert isinstance(came, Answer), came
    assert (came.status, came.address) == (200, "127.0.0.1")
    assert asked_for == ["hooks.example"]
    assert tls_server.received[0].headers["host"] == f"hooks.example:{tls_server.port}"


def test_a_certificate_of_another_name_is_refused(tls_server, certificate, names, settings):
    settings.DESTINATIONS_CA_FILE = str(certificate)
    names["other.example"] = ["127.0.0.1"]
    came = ask(tls_server, url=f"https://other.example:{tls_server.port}/x")
    assert isinstance(came, Failure)
    assert came.name == "CertificateRefused"
    assert tls_server.received == []


def test_a_certificate_that_nobody_vouches_for_is_refused(tls_server, names):
    names["hooks.example"] = ["127.0.0.1"]
    came = ask(tls_server, url=f"https://hooks.example:{tls_server.port}/x")
    assert isinstance(came, Failure)
    assert came.name == "CertificateRefused"


def test_a_reader_that_takes_its_time_is_not_waited_for(server):
    """A body larger than the buffers between, to a server that reads none of it."""
    import socket

    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        began = time.monotonic()
        came = ask(server, url=f"http://127.0.0.1:{listening.getsockname()[1]}/", body=b"x" * 8_000_000, seconds=BUDGET)
        assert isinstance(came, Failure)
        assert came.name == "TimedOut"
        assert time.monotonic() - began < PLENTY
