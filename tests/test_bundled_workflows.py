"""Bundled workflows at work: real HTTP and SMTP servers on loopback, and a clock that only its sleeps and retries move.

What holds a host is adapted as a person would: its text with another host is published, and then the workflow again.
"""

from __future__ import annotations

import email
import email.policy
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiosmtpd.controller import Controller

from ritesmith.app import RiteSmith
from ritesmith.models import FINAL_STATUSES
from ritesmith.testing import ManualClock
from ritesmith.trace import RunView

HOUR = 3600
HOOK = "T01-3f9a77c1d2"
KEY = "key-5b1f0a92cc"
Answer = tuple[int, dict[str, str], Any]


class Site(ThreadingHTTPServer):
    """Answers each path from its list; the last answer stays. `seen` holds what was asked, and what was posted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.host = f"localhost:{self.server_address[1]}"
        self.pages: dict[str, list[Answer]] = {}
        self.seen: list[tuple[str, Any]] = []
        self.keys: list[str | None] = []

    def says(self, path: str, *answers: Any) -> None:
        """What it answers under a path: JSON with status 200, or (status, headers, JSON)."""
        self.pages[path] = [each if isinstance(each, tuple) else (200, {}, each) for each in answers]

    def asked(self, path: str) -> int:
        return sum(each == path for each, _ in self.seen)


class Asked(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.answer(dict(parse_qsl(urlsplit(self.path).query)))

    def do_POST(self) -> None:
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def answer(self, given: Any) -> None:
        path = urlsplit(self.path).path
        self.server.seen.append((path, given))
        self.server.keys.append(self.headers["Authorization"])
        path = path if path in self.server.pages else f"{path}?{given.get('domain')}"
        answers = self.server.pages.get(path, [(404, {}, {"error": "not found"})])
        status, headers, value = answers.pop(0) if len(answers) > 1 else answers[0]
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, each in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, each)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


class Post(Controller):
    """An SMTP server on a port that the system picks; `mails` holds what came."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        super().__init__(self, hostname="127.0.0.1", port=0)

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def post() -> Iterator[Post]:
    made = Post()
    made.start()
    yield made
    made.stop(no_assert=True)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def app(tmp_path: Path, ready: Path, site: Site, post: Post, clock: ManualClock) -> Iterator[RiteSmith]:
    """The demo's registry, in a project that opens loopback."""
    shutil.copytree(ready, tmp_path / "project")
    (tmp_path / "project" / "ritesmith.toml").write_text(
        f"""
        [http]
        networks = ["127.0.0.0/8", "::1/128"]
        ports = [{site.server_address[1]}]
        plain = ["localhost"]

        [email]
        host = "127.0.0.1"
        port = {post.port}
        security = "none"
        sender = "robot@example.com"
        """,
        encoding="utf-8",
    )
    environment = {"RITESMITH_SECRET_CHAT_HOOK": HOOK, "RITESMITH_SECRET_COMPANIES_KEY": KEY}
    db = str(tmp_path / "project" / "registry.db")
    with closing(RiteSmith.open(db, environment=environment, clock=clock)) as made:
        yield made


def adapt(
    app: RiteSmith, tmp_path: Path, workflow: str, site: Site, more: tuple[str, str] = ("", ""), **hosts: str
) -> None:
    """Publish capabilities with the site's host instead of theirs, then the workflow that is made of them.

    `more` is a line of their text, and what is put after it.
    """
    text = app.registry.get(workflow).text
    for name, host in hosts.items():
        name = name.replace("__", ".")
        file = tmp_path / f"{name}.lua"
        adapted = app.registry.get(name).text
        if more[0]:
            adapted = adapted.replace(more[0], "".join(more))
        adapted = adapted.replace(f"https://{host}", f"http://{site.host}").replace(host, site.host)
        file.write_text(adapted, encoding="utf-8")
        assert app.publish_file(file).artifact.ref == f"{name}@2"
        text = text.replace(f"{name}@1", f"{name}@2")
    file = tmp_path / f"{workflow}.json"
    file.write_text(text, encoding="utf-8")
    assert app.publish_file(file).artifact.ref == f"{workflow}@2"


def end(app: RiteSmith, clock: ManualClock, workflow: str, given: Any) -> RunView:
    """Run it to its end or until it waits for a person, through all its sleeps."""
    run = app.start(workflow, given)
    for _ in range(100):
        view = app.drive(run)
        if view.status in FINAL_STATUSES or view.status == "waiting":
            return view
        [due] = app.connection.execute("SELECT min(due_at) FROM runs WHERE status = 'sleeping'").fetchone()
        clock.advance(max(0.0, due - clock.now()))
    raise AssertionError("it does not end")


LIMITED = (429, {"Retry-After": "120"}, {"error": "slow down"})
DOWN = (503, {}, {"error": "down"})


def test_a_price_is_watched_until_it_falls(
    app: RiteSmith, tmp_path: Path, clock: ManualClock, site: Site, post: Post
) -> None:
    adapt(app, tmp_path, "prices.watch", site, prices__fetch="shop.example.com")
    site.says("/api/price", LIMITED, *({"price": price, "currency": "EUR"} for price in (39.9, 36, 34.5)))
    begun = clock.now()
    given = {"product_id": "tea pot", "target_price": 35, "hours": 12, "checks_max": 10}
    view = end(app, clock, "prices.watch", given)
    assert (view.status, view.outcome, view.output) == ("succeeded", "cheaper", {"price": 34.5, "checks": 3})
    assert [given for _, given in site.seen] == [{"product": "tea pot"}] * 4
    assert 24 * HOUR + 120 <= clock.now() - begun < 24 * HOUR + 180
    [mail] = post.mails
    assert (mail["To"], mail["Subject"]) == ("team@example.com", "Price alert: tea pot")
    assert mail.get_content().strip() == "tea pot costs 34.5 EUR now, less than 35."


def test_a_price_that_stays_is_looked_at_as_often_as_was_said(
    app: RiteSmith, tmp_path: Path, clock: ManualClock, site: Site, post: Post
) -> None:
    adapt(app, tmp_path, "prices.watch", site, prices__fetch="shop.example.com")
    site.says("/api/price", {"price": 39.9, "currency": "EUR"})
    view = end(app, clock, "prices.watch", {"product_id": "pot", "target_price": 35, "hours": 1, "checks_max": 4})
    assert (view.outcome, view.output) == ("still_too_dear", {"price": 39.9, "checks": 4})
    assert len(site.seen) == 4
    assert post.mails == []


PAGES = ("cart", "gone", "slow")


def test_pages_that_are_down_are_told_in_chat(app: RiteSmith, tmp_path: Path, clock: ManualClock, site: Site) -> None:
    more = "".join(f'{page} = "https://www.example.com/{page}",\n' for page in PAGES)
    hosts = {"web__check_page": "www.example.com", "notify__chat": "hooks.example.com"}
    adapt(app, tmp_path, "uptime.check", site, more=("local PAGES = {\n", more), **hosts)
    site.says("/", {"hello": "world"})
    site.says("/slow", DOWN, {"hello": "again"})
    site.says("/cart", DOWN)
    site.says(f"/services/{HOOK}", {})
    view = end(app, clock, "uptime.check", {"pages": ["home", *PAGES]})
    assert (view.status, view.outcome) == ("succeeded", "some_down"), view.error
    [said] = [given for path, given in site.seen if path == f"/services/{HOOK}"]
    assert said == {"text": view.output["text"]}
    gone = f"- gone: http://{site.host}/gone answered with status 404"
    assert said["text"] == f"2 of 4 pages are down:\n- cart: http.request: localhost answered 503\n{gone}"
    assert [site.asked(f"/{page}") for page in ("", *PAGES)] == [1, 3, 1, 2]


def test_pages_that_are_up_are_told_to_nobody(app: RiteSmith, tmp_path: Path, clock: ManualClock, site: Site) -> None:
    adapt(app, tmp_path, "uptime.check", site, web__check_page="www.example.com")
    site.says("/", {"hello": "world"})
    view = end(app, clock, "uptime.check", {"pages": ["home"]})
    assert (view.outcome, view.output) == ("all_up", {"down": 0, "text": "All pages answer: 1."})
    assert site.seen == [("/", {})]


def test_leads_get_the_companies_that_are_known(app: RiteSmith, tmp_path: Path, clock: ManualClock, site: Site) -> None:
    adapt(app, tmp_path, "leads.enrich", site, leads__lookup_company="companies.example.com")
    for number in range(8):
        company = {"name": f"Company {number}", "industry": "tools", "employees": number}
        site.says(
            f"/v1/lookup?c{number}.example", *([LIMITED] if number == 3 else [DOWN] if number == 5 else []), company
        )
    leads = [{"name": f"Lead {number}", "email": f"ann@C{number}.example"} for number in range(9)]
    begun = clock.now()
    view = end(app, clock, "leads.enrich", {"leads": leads})
    assert (view.status, view.outcome) == ("succeeded", "enriched"), view.error
    lines = [f"Lead {number},ann@C{number}.example,Company {number},tools,{number}," for number in range(8)]
    lines = ["name,email,company,industry,employees,problem", *lines, "Lead 8,ann@C8.example,,,,company_unknown", ""]
    assert view.output == {"text": "\n".join(lines), "unknown": 1}
    assert clock.now() - begun >= 120
    assert set(site.keys) == {f"Bearer {KEY}"}


INVOICE = {
    "invoice_id": "INV-7",
    "supplier": "Paper Ltd",
    "currency": "EUR",
    "invoice_date": "2026-11-02",
    "due_date": "2026-12-02",
    "tax_percent": 20,
    "invoice_lines": [{"text": "Desks", "quantity": 10, "unit_price": 250}],
    "total": 3000,
    "iban": "DE89 3704 0044 0532 0130 00",
    "email": "ann@example.org",
}


def test_a_large_invoice_waits_for_a_person_and_is_recorded_once(app: RiteSmith, clock: ManualClock) -> None:
    view = end(app, clock, "invoices.approve", INVOICE)
    assert view.status == "waiting"
    assert app.documents("invoices") == []
    view = app.answer(view.run, "approved", by="ann")
    assert (view.status, view.outcome) == ("succeeded", "recorded"), view.error
    [invoice] = app.documents("invoices")
    assert (invoice["value"]["approved_by"], invoice["value"]["status"]) == ("ann", "approved")
    again = app.answer(end(app, clock, "invoices.approve", INVOICE).run, "approved", by="ann")
    assert (again.status, again.outcome) == ("failed", "duplicate")


def test_an_invoice_whose_sender_cannot_be_told_is_withdrawn(app: RiteSmith, clock: ManualClock) -> None:
    small = {"invoice_lines": [{"text": "Paper", "quantity": 4, "unit_price": 25}], "total": 120}
    view = end(app, clock, "invoices.approve", {**INVOICE, **small, "email": "ann"})
    assert view.status == "compensated"
    [invoice] = app.documents("invoices")
    assert invoice["value"]["status"] == "withdrawn"
    view = end(app, clock, "invoices.approve", {**INVOICE, **small})
    assert view.outcome == "recorded"


def test_the_orders_of_the_demo_make_a_digest(app: RiteSmith, clock: ManualClock, post: Post) -> None:
    orders = [each["value"] for each in app.documents("orders")]
    since = sorted(order["ordered_at"] for order in orders)[1]
    recent = [order["order_id"] for order in orders if order["ordered_at"] >= since]
    view = end(app, clock, "orders.digest", {"start_date": since})
    assert (view.outcome, view.output) == ("sent", {"count": len(recent)}), view.error
    [mail] = post.mails
    assert mail["Subject"] == f"Orders since {since}"
    text = mail.get_content()
    assert [order["order_id"] in text for order in orders] == [order["order_id"] in recent for order in orders]
    assert f"In all there are {len(orders)} orders." in text
    assert end(app, clock, "orders.digest", {"start_date": "9999-12-31"}).outcome == "nothing_new"
    assert len(post.mails) == 1


def test_payments_are_reconciled_with_three_hundred_invoices(app: RiteSmith, clock: ManualClock) -> None:
    invoices = "".join(f"R{number},{number}.10\n" for number in range(300))
    payments = "".join(f"R{number},{number}.05\nR{number},0.05\n" for number in range(299))
    given = {"invoices": f"no,sum\n{invoices}", "payments": f"no,sum\n{payments}"}
    view = end(app, clock, "payments.reconcile", {**given, "key_field": "no", "amount_field": "sum"})
    assert (view.outcome, view.output["matched"]) == ("differs", 299), view.error
    assert view.output["text"] == "key,amount,other_amount,reason\nR299,299.1,0,only in the first list\n"


def test_a_messy_csv_is_tidied_and_its_contacts_are_imported(app: RiteSmith, clock: ManualClock) -> None:
    text = " Full Name ,E-Mail\n  Ann   Smith,ann@example.org\nn/a,-\nBob,Bob@example.org\nBobby,Bob@example.org\n"
    given = {"text": text, "unique_field": "e_mail", "required_fields": ["full_name"]}
    tidied = end(app, clock, "data.tidy_csv", given)
    assert tidied.output == {
        "text": "full_name,e_mail\nAnn Smith,ann@example.org\nBob,Bob@example.org\n",
        "dropped": 1,
        "removed": 1,
        "missing": [],
    }
    view = end(app, clock, "contacts.import", {"text": tidied.output["text"].replace("e_mail", "email")})
    assert (view.status, view.outcome) == ("succeeded", "imported"), view.error
    contacts = {each["key"]: each["value"]["full_name"] for each in app.documents("contacts")}
    assert contacts == {"ann@example.org": "Ann Smith", "bob@example.org": "Bob"}
