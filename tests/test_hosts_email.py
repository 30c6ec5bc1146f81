"""`email.send` against a real SMTP server on loopback, and against servers that misbehave."""

import email
import email.header
import email.policy
import re
import socket
import ssl
import threading
from contextlib import closing, contextmanager, suppress
from unittest.mock import sentinel

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from host_calls import Caller

from ritesmith.errors import InvalidInput
from ritesmith.hosts import CATALOG, HostUnknown, answer, outside_grant
from ritesmith.settings import EmailSettings, Settings, load_settings

PASSWORD = "correct horse battery"
PLAIN = {"to": ["ann@example.com"], "subject": "Hello", "text": "A first line.\n"}
CALM = {
    "": b"220 ready\r\n",
    "EHLO": b"250-here\r\n250 SIZE 100000\r\n",
    "MAIL": b"250 ok\r\n",
    "RCPT": b"250 ok\r\n",
    "DATA": b"354 go on\r\n",
    ".": b"250 taken\r\n",
    "QUIT": b"221 bye\r\n",
}
STALL, DRIP, ENDLESS = sentinel.STALL, sentinel.DRIP, sentinel.ENDLESS


class Mailbox:
    """What an aiosmtpd server hands over: the envelopes that came, and who logged in."""

    def __init__(self):
        self.envelopes = []
        self.logins = []

    async def handle_DATA(self, server, session, envelope):
        self.envelopes.append(envelope)
        return "250 taken"

    def authenticate(self, server, session, envelope, mechanism, given):
        self.logins.append((given.login, given.password))
        return AuthResult(success=given.password == PASSWORD.encode(), handled=False)

    def message(self):
        [envelope] = self.envelopes
        return email.message_from_bytes(envelope.content, policy=email.policy.default)


class Office(Controller):
    """An aiosmtpd server on a port that the system picks."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def post_office(mailbox=None, **more):
    mailbox = mailbox or Mailbox()
    office = Office(mailbox, hostname="127.0.0.1", port=0, **more)
    office.start()
    try:
        yield mailbox, office.port
    finally:
        office.stop(no_assert=True)


@contextmanager
def rude(**instead):
    """A server that says to each command what it is told to (CALM otherwise); yields its port and what it heard.

    An answer of b"" closes the connection; STALL says nothing; DRIP sends a byte now and then and ENDLESS one line
    after another until the client is gone.
    """
    replies = CALM | instead
    heard, over = [], threading.Event()

    def say(connection, reply):
        if reply is STALL:
            connection.recv(1)  # until the client is gone
            return False
        if reply in (DRIP, ENDLESS):
            while not over.wait(0.01 if reply is DRIP else 0):
                connection.sendall(b"2" if reply is DRIP else b"250-more\r\n")
            return False
        connection.sendall(reply)
        return bool(reply)

    def converse(connection):
        with connection, connection.makefile("rb") as lines:
            if not say(connection, replies[""]):
                return
            for line in lines:
                heard.append(line)
                word = re.split(rb"\W", line)[0].upper().decode("ascii", "replace")
                if not say(connection, replies.get(word, b"500 what?\r\n")):
                    return
                if word == "DATA" and replies["DATA"].startswith(b"354"):
                    for part in lines:
                        heard.append(part)
                        if part == b".\r\n":
                            break
                    else:
                        return
                    if not say(connection, replies["."]):
                        return

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError):
                converse(connection)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], heard
        finally:
            over.set()
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def caller(port, *, security="none", folder=None, secrets=None, **more):
    given = {"host": "127.0.0.1", "sender": "RiteSmith <robot@example.org>", "seconds": 20}
    settings = EmailSettings(**given | {"port": port, "security": security} | more)
    return Caller(Settings(email=settings, **({"folder": folder} if folder else {})), secrets=secrets)


# ---------------------------------------------------------------- what works


def test_a_message_arrives_as_it_was_meant():
    with post_office() as (mailbox, port), caller(port) as call:
        got = call(
            "email.send",
            to=["ann@example.com", "bob@example.com"],
            cc=["cleo@example.com"],
            bcc=["dan@example.com", "ann@example.com"],
            subject="Grüße: 10 € off",
            text="Dear Ann,\n.\n.hidden dot\nfrom here\n" + "x" * 2000,
            html="<p>Dear Ann</p>",
        )
    message, [envelope] = mailbox.message(), mailbox.envelopes
    assert envelope.mail_from == "robot@example.org"
    assert envelope.rcpt_tos == ["ann@example.com", "bob@example.com", "cleo@example.com", "dan@example.com"]
    assert got["recipients"] == 4
    assert (message["From"], message["Subject"]) == ("RiteSmith <robot@example.org>", "Grüße: 10 € off")
    assert (message["To"], message["Cc"], message["Bcc"]) == (
        "ann@example.com, bob@example.com",
        "cleo@example.com",
        None,
    )
    assert message["Date"] == "Fri, 15 Jan 2027 08:00:00 -0000"
    text, html = message.iter_parts()
    assert text.get_content().replace("\r\n", "\n") == "Dear Ann,\n.\n.hidden dot\nfrom here\n" + "x" * 2000 + "\n"
    assert html.get_content().strip() == "<p>Dear Ann</p>"
    assert max(map(len, envelope.content.splitlines())) <= 998


def test_the_same_call_is_the_same_bytes_and_another_has_another_id():
    with post_office() as (mailbox, port), caller(port) as call:
        ids = [call("email.send", **PLAIN, html="<p>")["message_id"] for _ in range(2)]
        other = call.reply("email.send", PLAIN, idempotency_key="r1/other/0").result["message_id"]
    assert ids[0] == ids[1] != other
    assert re.fullmatch(r"<[0-9a-f]{32}@example\.org>", ids[0])
    assert mailbox.envelopes[0].content == mailbox.envelopes[1].content


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def secure(authority, *names):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


def test_the_password_goes_over_starttls_only_and_stays_out_of_every_answer(authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = {"tls_context": secure(authority, "127.0.0.1"), "require_starttls": True}
    settings = {"security": "starttls", "folder": tmp_path, "certificates": "ca.pem", "user": "ann", "password": "MAIL"}
    box = Mailbox()
    with post_office(box, authenticator=box.authenticate, auth_required=True, **tls) as (_, port):
        with caller(port, **settings, secrets={"MAIL": PASSWORD}) as call:
            assert call("email.send", **PLAIN)["recipients"] == 1
        assert box.logins == [(b"ann", PASSWORD.encode())]
        with caller(port, **settings, secrets={"MAIL": "wrong horse battery"}) as call:
            error = call.fails("email.send", **PLAIN)
            assert (error.code, error.retryable) == ("wrong_login", False)
            assert "wrong horse" not in str(error)
        with caller(port, **settings) as call:
            assert call.fails("email.send", **PLAIN).code == "no_secret"
    assert len(box.envelopes) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("name", ["127.0.0.1", "elsewhere.example"])
def test_a_certificate_must_be_trusted_and_name_the_server(authority, tmp_path, security, name):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = secure(authority, name)
    given = {"tls_context": context} if security == "starttls" else {"ssl_context": context}
    more = {"security": security, "folder": tmp_path}
    with post_office(**given) as (mailbox, port):
        with caller(port, **more) as call:
            assert call.fails("email.send", **PLAIN).code == "no_tls", "an authority that nobody knows"
        with caller(port, **more, certificates="ca.pem") as call:
            reply = call.reply("email.send", PLAIN)
        assert (reply.error.code if reply.error else None) == (None if name == "127.0.0.1" else "no_tls")
    assert len(mailbox.envelopes) == (name == "127.0.0.1")


# ---------------------------------------------------------------- wrong type, oversized, header injection


@pytest.mark.parametrize(
    "more",
    [
        {"to": "ann@example.com"},
        {"to": []},
        {"to": [1]},
        {"to": ["ann"]},
        {"to": ["Ann <ann@example.com>"]},
        {"to": ["ann@example.com, bob@example.com"]},
        {"to": ["ann@example.com\nBcc: bob@example.com"]},
        {"to": ["ann@example.com> SIZE=1"]},
        {"to": ["a" * 250 + "@example.com"]},
        {"to": ["ann@localhost"]},
        {"to": ["änn@example.com"]},
        {"to": [f"a{n}@example.com" for n in range(51)]},
        {"bcc": ["ann@example.com", "ann@example.com"]},
        {"subject": ""},
        {"subject": 1},
        {"subject": "Hello\r\nBcc: bob@example.com"},
        {"subject": "Hello\nBcc: bob@example.com"},
        {"subject": "Hello\rBcc: bob@example.com"},
        {"subject": "Hello\x0bBcc: bob@example.com"},
        {"subject": "Hello\u0085Bcc: bob@example.com"},
        {"subject": "Hello\u2028Bcc: bob@example.com"},
        {"subject": "Hello\n"},
        {"subject": "x" * 501},
        {"text": None},
        {"text": "x" * (256 * 1024 + 1)},
        {"html": {"body": "x"}},
        {"from": "boss@example.com"},
        {"headers": {"X-Spam": "no"}},
    ],
    ids=lambda more: repr(more)[:60],
)
def test_arguments_of_another_shape_are_refused_before_anyone_is_called(more):
    with caller(1) as call:
        assert call.fails("email.send", **{**PLAIN, **more}).code == "bad_argument"


def test_a_text_that_looks_like_headers_or_like_the_end_is_text():
    text = "Bcc: bob@example.com\r\n\r\n.\r\nMAIL FROM:<x@example.com>\r\n.\n..\rx\x00\n"
    with post_office() as (mailbox, port), caller(port) as call:
        call("email.send", **{**PLAIN, "text": text})
    assert mailbox.envelopes[0].rcpt_tos == ["ann@example.com"]
    assert mailbox.message()["Bcc"] is None
    assert mailbox.message().get_content().splitlines()[:5] == text.splitlines()[:5]


@pytest.mark.parametrize(
    "subject",
    ["=?utf-8?q?hi=0D=0ABcc:_eve@example.org?=", "=?utf-8?b?aGkNCg0KbmV3IGJvZHk=?=", "Grüße =?utf-8?q?x=0Ay?= " * 9],
)
def test_an_encoded_word_in_what_a_script_gives_is_no_way_to_another_header(subject):
    local = "=?utf-8?q?x=0D=0Ay?="
    with post_office() as (mailbox, port), caller(port) as call:
        call("email.send", **{**PLAIN, "subject": subject, "cc": [f"{local}@example.com"]})
    head = mailbox.envelopes[0].content.partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith(b" ")]
    wanted = b"To Cc Subject From Date Message-ID MIME-Version Content-Type Content-Transfer-Encoding"
    assert sorted(names) == sorted(wanted.split())
    raw = email.message_from_bytes(mailbox.envelopes[0].content, policy=email.policy.compat32)
    assert str(email.header.make_header(email.header.decode_header(raw["Subject"]))) == subject
    assert raw["Cc"] == f"{local}@example.com"


def test_too_many_recipients_of_all_kinds_together_and_too_much_for_the_server_are_refused():
    many = {name: [f"{name}{n}@example.com" for n in range(20)] for name in ("to", "cc", "bcc")}
    with rude() as (port, heard), caller(port) as call:
        assert call.fails("email.send", **{**PLAIN, **many}).code == "too_many_recipients"
        assert heard == []
        error = call.fails("email.send", **{**PLAIN, "text": "x" * 100_000})
        assert (error.code, error.retryable) == ("too_large", False)
        assert not any(line.upper().startswith(b"MAIL") for line in heard)


# ---------------------------------------------------------------- denied


@pytest.mark.parametrize(
    ("args", "granted", "refused"),
    [
        ({"to": ["ann@example.com"]}, ["ann@example.com"], None),
        ({"to": ["ann@EXAMPLE.com"]}, ["ann@example.com"], None),
        ({"to": ["Ann@example.com"]}, ["ann@example.com"], "to 'Ann@example.com'"),
        ({"to": ["ann@example.com"]}, ["@example.com"], None),
        ({"to": ["ann@Example.Com"]}, ["@example.com"], None),
        ({"to": ["ann@mail.example.com"]}, ["@example.com"], "to 'ann@mail.example.com'"),
        ({"to": ["ann@badexample.com"]}, ["@example.com"], "to 'ann@badexample.com'"),
        ({"to": ["@example.com"]}, ["@example.com"], "to '@example.com'"),
        ({"to": ["ann@example.com"], "cc": ["bob@b.example"]}, ["@example.com"], "cc 'bob@b.example'"),
        ({"to": ["ann@example.com"], "bcc": ["bob@b.example"]}, ["@example.com"], "bcc 'bob@b.example'"),
        ({"to": [["ann@example.com"]]}, ["@example.com"], "to ["),
        ({"to": ["ann@example.com"]}, [], "to 'ann@example.com'"),
    ],
)
def test_a_grant_says_who_may_be_written_to(args, granted, refused):
    told = outside_grant(CATALOG["email.send"], {**PLAIN, **args}, {"recipients": granted})
    assert (told is None) if refused is None else told.startswith(f"email.send: {refused}")
    assert outside_grant(CATALOG["email.send"], {**PLAIN, **args}, {}) is not None


def test_a_password_is_not_sent_in_the_open_to_another_machine():
    given = {"host": "mail.example.com", "user": "ann", "password": "MAIL", "secrets": {"MAIL": PASSWORD}}
    with caller(25, **given) as call:
        error = call.fails("email.send", **PLAIN)
        assert error.code == "not_configured"
        assert "without TLS" in error.message


def test_a_server_that_takes_starttls_away_is_not_spoken_to():
    with rude() as (port, heard), caller(port, security="starttls") as call:
        assert call.fails("email.send", **PLAIN).code == "no_tls"
        assert [line[:4] for line in heard] == [b"ehlo"]
    injected = {"EHLO": b"250-here\r\n250 STARTTLS\r\n", "STARTTLS": b"220 go on\r\n250 injected\r\n"}
    with rude(**injected) as (port, heard), caller(port, security="starttls", seconds=2) as call:
        assert call.fails("email.send", **PLAIN).code in ("no_tls", "time_out", "unavailable")
        assert not any(b"MAIL" in line for line in heard)


# ---------------------------------------------------------------- unavailable, slow, lying


@pytest.mark.parametrize(
    ("instead", "code", "retryable"),
    [
        ({"": b"421 later\r\n"}, "refused", True),
        ({"": b"554 never\r\n"}, "refused", False),
        ({"": b""}, "unavailable", True),
        ({"": b"HTTP/1.1 400 Bad Request\r\n\r\n"}, "unavailable", True),
        ({"": b"\x16\x03\x01\0\0\n"}, "unavailable", True),
        ({"": b"2" * 5000}, "unavailable", True),
        ({"EHLO": b"250-\xff\xfe\r\n250 SIZE many\r\n"}, None, None),
        ({"EHLO": ENDLESS}, "unavailable", True),
        ({"EHLO": b""}, "unavailable", True),
        ({"MAIL": b"451 later\r\n"}, "refused", True),
        ({"MAIL": b"550 no such sender\r\n"}, "refused", False),
        ({"RCPT": b"450 greylisted\r\n"}, "recipient_refused", True),
        ({"RCPT": b"550 nobody here\r\n"}, "recipient_refused", False),
        ({"RCPT": b"421 closing\r\n"}, "refused", True),
        ({"RCPT": b""}, "unavailable", True),
        ({"DATA": b"452 no space\r\n"}, "refused", True),
        ({"DATA": b"554 no\r\n"}, "refused", False),
        ({"DATA": b"250 what\r\n"}, "unavailable", True),
        ({".": b"451 try again\r\n"}, "refused", True),
        ({".": b"552 too much\r\n"}, "refused", False),
        ({"QUIT": b""}, None, None),
    ],
    ids=repr,
)
def test_what_goes_wrong_is_told_apart(instead, code, retryable):
    with rude(**instead) as (port, _), caller(port) as call:
        reply = call.reply("email.send", PLAIN)
        assert (reply.error.code if reply.error else None) == code, reply
        if reply.error:
            assert reply.error.retryable is retryable


def test_one_refused_recipient_keeps_the_message_from_all():
    class Choosy(Mailbox):
        async def handle_RCPT(self, server, session, envelope, address, options):
            if address.startswith("bob"):
                return "550 nobody here"
            envelope.rcpt_tos.append(address)
            return "250 ok"

    with post_office(Choosy()) as (box, port), caller(port) as call:
        error = call.fails("email.send", **{**PLAIN, "to": ["ann@example.com", "bob@example.com"]})
    assert (error.code, error.retryable) == ("recipient_refused", False)
    assert error.details == [{"recipient": "bob@example.com", "code": 550, "message": "nobody here"}]
    assert box.envelopes == []


@pytest.mark.parametrize("said", [b"", b"garbage\r\n", b"199 odd\r\n", b"999 odd\r\n", STALL, DRIP, ENDLESS], ids=repr)
def test_without_a_plain_answer_to_the_whole_message_nobody_knows(said):
    with rude(**{".": said}) as (port, heard), caller(port, seconds=1) as call:
        with pytest.raises(HostUnknown) as caught:
            answer("email.send", PLAIN, call.environment)
        assert b".\r\n" in heard
        assert "127.0.0.1" in str(caught.value)
    assert not CATALOG["email.send"].idempotent, "or the engine would send it again"


@pytest.mark.parametrize("at", ["", "EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("how", [STALL, DRIP], ids=["silent", "dripping"])
def test_a_slow_server_is_left_in_time_and_nothing_was_sent(at, how):
    with rude(**{at: how}) as (port, heard), caller(port, seconds=0.3) as call:
        error = call.fails("email.send", **PLAIN)
        assert (error.code, error.retryable) == ("time_out", True)
        assert b".\r\n" not in heard


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_handshake_that_does_not_end_is_left_in_time(security):
    """The connection is held by its own duplicate, as TLS takes the first one over."""
    instead = (
        {"EHLO": b"250-here\r\n250 STARTTLS\r\n", "STARTTLS": b"220 go on\r\n"}
        if security == "starttls"
        else {"": STALL}
    )
    with rude(**instead) as (port, _), caller(port, security=security, seconds=0.3) as call:
        error = call.fails("email.send", **PLAIN)
        assert error.code in ("time_out", "no_tls", "unavailable")


def test_nobody_there_is_unavailable():
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    with caller(port) as call:
        error = call.fails("email.send", **PLAIN)
        assert (error.code, error.retryable) == ("unavailable", True)
    with Caller() as call:
        error = call.fails("email.send", **PLAIN)
        assert error.code == "not_configured"
        assert "[email]" in error.message


def test_a_server_that_repeats_the_password_gives_nothing_away(authority):
    """It is cut out of the answer, plain and as it went over the wire."""
    import base64

    coded = base64.b64encode(f"\0ann\0{PASSWORD}".encode())
    said = b"535 not " + PASSWORD.encode() + b" or " + coded + b"\r\n"
    instead = {"EHLO": b"250-here\r\n250 AUTH PLAIN\r\n", "AUTH": said}
    with rude(**instead) as (port, _), caller(port, user="ann", password="MAIL", secrets={"MAIL": PASSWORD}) as call:
        error = call.fails("email.send", **PLAIN)
        assert error.code == "wrong_login"
        assert "[secret MAIL]" in error.message
        assert coded.decode() not in error.message


@pytest.mark.parametrize("sender", ["nobody", "a@b.example, c@d.example"])
def test_a_sender_that_is_not_one_address_is_refused(sender):
    with caller(1, sender=sender) as call:
        assert call.fails("email.send", **PLAIN).code == "not_configured"


def test_a_login_has_both_a_user_and_a_password(tmp_path):
    (tmp_path / "ritesmith.toml").write_text('[email]\nhost = "m"\nsender = "a@b.example"\nuser = "ann"\n')
    with pytest.raises(InvalidInput, match="both 'user' and 'password'"):
        load_settings(tmp_path)
