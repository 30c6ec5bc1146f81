"""`email.send`: one message to granted recipients, through the SMTP server that `[email]` names.

Sent to all recipients or to none. What the server said no to before it had the whole message was not sent; from the
final dot on (RFC 5321, 4.1.1.4) a lost connection leaves it unknown whether the message was taken, and that is what is
said: it is never sent again to find out.
"""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from ritesmith.hosts.base import HostEnvironment, HostFailure, HostUnknown, host_function
from ritesmith.models import JSON
from ritesmith.settings import EmailSettings, Settings

if TYPE_CHECKING:
    import smtplib
    from email.message import EmailMessage

_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = f"(?:{_LABEL}\\.)+{_LABEL}"
_ADDRESS = f"{_ATOM}(?:\\.{_ATOM})*@{_DOMAIN}"
ADDRESS = {
    "type": "string",
    "maxLength": 254,
    "pattern": f"^{_ADDRESS}$",
    "description": "a bare address, such as ann@example.com",
    "examples": ["ann@example.com"],
}
ADDRESSES = {"type": "array", "items": ADDRESS, "maxItems": 50, "uniqueItems": True}
RECIPIENT = {
    "type": "string",
    "maxLength": 254,
    "pattern": f"^(?:{_ATOM}(?:\\.{_ATOM})*)?@{_DOMAIN}$",
    "description": "an address, or @domain for every address of exactly that domain",
    "examples": ["@example.com"],
}
RECIPIENTS_MAX = 50
BODY_CHARACTERS_MAX = 256 * 1024
LINE = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$"
"""No line break of any alphabet: a header ends where its line does."""
REPLY_LINES_MAX, LINE_BYTES_MAX = 200, 2048
_SHOWN = 300


@host_function(
    "email.send",
    "Send one e-mail; recipients are bare addresses. It is sent to all of them or to none.",
    input={
        "type": "object",
        "required": ["to", "subject", "text"],
        "properties": {
            "to": {**ADDRESSES, "minItems": 1},
            "cc": ADDRESSES,
            "bcc": ADDRESSES,
            "subject": {"type": "string", "minLength": 1, "maxLength": 500, "pattern": LINE, "description": "one line"},
            "text": {"type": "string", "maxLength": BODY_CHARACTERS_MAX},
            "html": {"type": "string", "maxLength": BODY_CHARACTERS_MAX, "description": "the same as HTML"},
        },
        "additionalProperties": False,
    },
    output={
        "type": "object",
        "required": ["message_id", "recipients"],
        "properties": {"message_id": {"type": "string"}, "recipients": {"type": "integer", "minimum": 1}},
        "additionalProperties": False,
    },
    effect="write",
    idempotent=False,
    outside=True,
    narrows={"recipients": {"type": "array", "items": RECIPIENT, "minItems": 1, "uniqueItems": True}},
    errors=(
        "not_configured",
        "no_secret",
        "too_many_recipients",
        "too_large",
        "no_tls",
        "wrong_login",
        "recipient_refused",
        "refused",
        "time_out",
        "unavailable",
    ),
)
def send(args: dict[str, Any], environment: HostEnvironment) -> JSON:
    settings = environment.settings.email
    if settings is None:
        raise HostFailure("not_configured", "no e-mail can be sent: ritesmith.toml has no [email]")
    recipients = list(dict.fromkeys([*args["to"], *args.get("cc", []), *args.get("bcc", [])]))
    if len(recipients) > RECIPIENTS_MAX:
        message = f"the message has {len(recipients)} recipients, at most {RECIPIENTS_MAX} are taken"
        raise HostFailure("too_many_recipients", message)
    password = None if settings.password is None else environment.secret(settings.password)
    if password is not None and settings.security == "none" and not _is_this_machine(settings.host):
        raise HostFailure("not_configured", 'a password is not sent without TLS: [email] has security = "none"')
    letter = _message(args, settings, environment)
    # Without Bcc, which stands on the envelope only; each line ends with CR LF, and a dot that begins one is doubled.
    body = re.sub(rb"(?m)^\.", b"..", _head(args) + letter.as_bytes())
    session = _Session(settings, environment.settings)
    with session.opened() as server:
        session.log_in(server, settings.user, password)
        session.deliver(server, str(letter["From"].addresses[0].addr_spec), recipients, body)
    return {"message_id": str(letter["Message-ID"]), "recipients": len(recipients)}


def _head(args: dict[str, Any]) -> bytes:
    """The headers that hold what a script gave.

    Not by EmailMessage: it decodes an encoded word in a value ("=?utf-8?q?=0D=0ABcc:...?=") and writes the line break.
    """
    from email.header import Header

    lines = [f"{name.capitalize()}: " + ",\r\n ".join(args[name]) for name in ("to", "cc") if args.get(name)]
    subject = args["subject"]
    plain = subject.isascii() and "=?" not in subject
    header = Header(subject, "us-ascii" if plain else "utf-8", header_name="Subject")
    lines.append("Subject: " + header.encode(linesep="\r\n"))
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _message(args: dict[str, Any], settings: EmailSettings, environment: HostEnvironment) -> EmailMessage:
    """The same bytes whenever the same call is made again: nothing in it is random, and its date is the call's."""
    from email.message import EmailMessage
    from email.policy import SMTP
    from email.utils import formatdate

    key = hashlib.sha256(environment.idempotency_key.encode()).hexdigest()
    message = EmailMessage(SMTP.clone(cte_type="7bit"))
    try:
        message["From"] = settings.sender
        [sender] = message["From"].addresses
        if not re.fullmatch(_ADDRESS, sender.addr_spec):
            raise ValueError("it is no address")
    except (ValueError, AttributeError, IndexError) as error:
        why = f"the sender '{settings.sender}' of [email] is not one address: {error}"
        raise HostFailure("not_configured", why) from None
    message["Date"] = formatdate(environment.now)
    message["Message-ID"] = f"<{key[:32]}@{sender.domain}>"
    message.set_content(args["text"], cte="quoted-printable")
    if "html" in args:
        message.add_alternative(args["html"], subtype="html", cte="quoted-printable")
        message.set_boundary(f"part-{key[32:]}")
    return message


def _is_this_machine(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")


class _Session:
    """One conversation with the server, held to its time whatever the server says and however slowly it says it."""

    def __init__(self, settings: EmailSettings, project: Settings) -> None:
        self.settings = settings
        self.where = f"the mail server {settings.host}:{settings.port}"
        self.context: ssl.SSLContext | None = None
        if settings.security != "none":
            certificates = settings.certificates and str(project.folder / settings.certificates)
            try:
                self.context = ssl.create_default_context(cafile=certificates)
            except OSError as error:
                message = f"the certificates '{settings.certificates}' of [email] cannot be read: {error}"
                raise HostFailure("not_configured", message) from None
        self.held: socket.socket | None = None
        """The connection once more, because TLS takes the first one over; shutting it down shuts down both."""
        self.greeted = False
        self.late = False
        self.unknown = False
        """The whole message may be there, and no answer has come."""

    @contextmanager
    def opened(self) -> Iterator[smtplib.SMTP]:
        """A greeted, encrypted server, closed afterwards. What goes wrong with it is a HostFailure or HostUnknown."""
        import smtplib

        server = _client()(self)
        # smtplib counts the silence before each piece of an answer, so a server that drips would never meet its limit.
        timer = threading.Timer(self.settings.seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            self._greet(server)
            self.greeted = True
            yield server
        except smtplib.SMTPResponseException as error:
            self._refused(error)
        except ssl.SSLError as error:
            self._lost(error, "unavailable" if self.greeted else "no_tls")
        except (OSError, smtplib.SMTPException, ValueError) as error:
            self._lost(error, "unavailable")
        finally:
            timer.cancel()
            server.close()
            if self.held is not None:
                self.held.close()

    def hold(self, connection: socket.socket) -> None:
        self.held = connection.dup()
        if self.late:
            self._cut()

    def _greet(self, server: smtplib.SMTP) -> None:
        import smtplib

        server.connect(self.settings.host, self.settings.port)
        server.ehlo_or_helo_if_needed()
        if self.settings.security == "starttls":
            try:
                server.starttls(context=self.context)
            except smtplib.SMTPNotSupportedError:
                raise HostFailure("no_tls", f"{self.where} does not offer STARTTLS") from None
            server.ehlo_or_helo_if_needed()

    def log_in(self, server: smtplib.SMTP, user: str | None, password: str | None) -> None:
        import smtplib

        if user is None or password is None:
            return
        if not (user + password).isascii():
            raise HostFailure("wrong_login", "the user or the password of [email] holds other letters than ASCII")
        try:
            server.login(user, password)
        except smtplib.SMTPAuthenticationError as error:
            retryable = 400 <= error.smtp_code < 500
            message = f"{self.where} does not take the login of '{user}': {_text(error.smtp_error)}"
            raise HostFailure("wrong_login", message, retryable=retryable) from None
        except smtplib.SMTPServerDisconnected:
            raise
        except smtplib.SMTPException as error:
            raise HostFailure("wrong_login", f"{self.where} takes no login: {_text(error)}") from None

    def deliver(self, server: smtplib.SMTP, sender: str, recipients: list[str], body: bytes) -> None:
        """Hand the message over. HostFailure: it was not sent. HostUnknown: nobody knows."""
        import smtplib

        most = server.esmtp_features.get("size", "")
        if most.isdigit() and 0 < int(most) < len(body):
            message = f"the message has {len(body)} bytes, {self.where} takes at most {most}"
            raise HostFailure("too_large", message)
        self._expect(server.docmd(f"MAIL FROM:<{sender}>"), (250,))
        refused: list[dict[str, Any]] = []
        for each in recipients:
            code, said = server.docmd(f"RCPT TO:<{each}>")
            if code in (-1, 421):
                raise smtplib.SMTPResponseException(code, said)
            if code not in (250, 251):
                refused.append({"recipient": each, "code": code, "message": _text(said)})
        if refused:
            first = refused[0]
            message = f"{self.where} refuses {first['recipient']}: {first['code']} {first['message']}; nothing was sent"
            retryable = all(400 <= each["code"] < 500 for each in refused)
            raise HostFailure("recipient_refused", message, retryable=retryable, details=refused[:10])
        self._expect(server.docmd("DATA"), (354,))
        server.send(body if body.endswith(b"\r\n") else body + b"\r\n")
        self.unknown = True
        server.send(b".\r\n")
        code, said = server.getreply()
        if 200 <= code < 300:
            self.unknown = False
        elif 400 <= code < 600:
            self.unknown = False
            raise smtplib.SMTPResponseException(code, said)
        else:
            raise smtplib.SMTPServerDisconnected("its answer is none")

    def _expect(self, answer: tuple[int, bytes], codes: tuple[int, ...]) -> None:
        import smtplib

        if answer[0] not in codes:
            raise smtplib.SMTPResponseException(*answer)

    def _cut(self) -> None:
        self.late = True
        if self.held is not None:
            with suppress(OSError):
                self.held.shutdown(socket.SHUT_RDWR)

    def _refused(self, error: smtplib.SMTPResponseException) -> NoReturn:
        code = error.smtp_code
        if not 400 <= code < 600:
            self._lost(error, "unavailable")
        message = f"{self.where} refuses the message: {code} {_text(error.smtp_error)}"
        raise HostFailure("refused", message, retryable=code < 500, details={"code": code}) from None

    def _lost(self, error: Exception, code: str) -> NoReturn:
        if self.unknown:
            raise HostUnknown(f"{self.where} was lost after the whole message: {_text(error)}") from None
        if self.late or isinstance(error, TimeoutError):
            message = f"{self.where} did not take the message within {self.settings.seconds:g} seconds"
            raise HostFailure("time_out", message, retryable=True) from None
        message = f"{self.where} cannot be used: {_text(error)}"
        raise HostFailure(code, message, retryable=code == "unavailable") from None


def _text(said: object) -> str:
    """What a server said, as one short line without control characters."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", text).strip()[:_SHOWN]


def _client() -> Any:
    """smtplib's client, made without connecting, and with an end to what it takes as one answer."""
    import smtplib

    class Client(smtplib.SMTP):
        def __init__(self, session: _Session) -> None:
            # With a name of its own, because smtplib would ask the name server for one, and wait for it.
            super().__init__(timeout=session.settings.seconds, local_hostname="localhost")
            self.session = session

        def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
            connection = socket.create_connection((host, port), timeout)
            self.session.hold(connection)
            self._host = host  # what its certificate must say
            own = connection.getsockname()[0]
            self.local_hostname = f"[IPv6:{own}]" if ":" in own else f"[{own}]"
            if self.session.settings.security != "tls":
                return connection
            assert self.session.context is not None
            return self.session.context.wrap_socket(connection, server_hostname=host)

        def connect(self, host: str = "", port: int = 0, source_address: Any = None) -> tuple[int, bytes]:
            code, said = super().connect(host, port, source_address)
            if code != 220:
                raise smtplib.SMTPResponseException(code, said)
            return code, said

        def getreply(self) -> tuple[int, bytes]:
            if self.file is None:
                if self.sock is None:
                    raise smtplib.SMTPServerDisconnected("the connection is closed")
                self.file = self.sock.makefile("rb")
            lines: list[bytes] = []
            while True:
                line = self.file.readline(LINE_BYTES_MAX)
                if not line.endswith(b"\n") or len(lines) == REPLY_LINES_MAX or not line[:3].isdigit():
                    self.close()
                    what = "its answer is not SMTP" if line else "it closed the connection"
                    raise smtplib.SMTPServerDisconnected(what)
                lines.append(line[4:].strip())
                if line[3:4] != b"-":
                    return int(line[:3]), b"\n".join(lines)

    return Client
