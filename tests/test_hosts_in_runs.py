"""Host functions of the outside world in real runs: what they do is journalled, bounded, and free of secrets."""

import json
import sqlite3
from contextlib import closing

import pytest
from test_hosts_email import post_office, rude

from ritesmith.app import RiteSmith
from ritesmith.errors import Rejected

PASSWORD = "correct horse battery"
DAILY = {
    "name": "report.daily",
    "intent": "write the totals of today into a file and mail them",
    "input": {"type": "object", "required": ["to"], "properties": {"to": {"enum": ["ann@example.com"]}}},
    "output": {"type": "object", "required": ["total"], "properties": {"total": {"type": "number"}}},
    "grants": {
        "sql.query": {"databases": ["sales"]},
        "file.write": {"roots": ["out"]},
        "email.send": {"recipients": ["@example.com"]},
    },
    "examples": [
        {
            "input": {"to": "ann@example.com"},
            "output": {"total": 5},
            "hosts": [
                {"call": "sql.query", "result": {"columns": ["total"], "rows": [{"total": 5}], "more": False}},
                {"call": "file.write", "result": {"bytes": 7}},
                {"call": "email.send", "result": {"message_id": "<x@example.org>", "recipients": 1}},
            ],
        },
        {
            "input": {"to": "ann@example.com"},
            "error": "unavailable",
            "hosts": [{"call": "sql.query", "error": {"code": "unavailable", "message": "no"}}],
        },
    ],
}
SCRIPT = """
function run(input, context)
  local question = "SELECT sum(total) AS total FROM orders WHERE id < $1"
  local found = sql.query{database = "sales", sql = question, params = {9}}
  local total = found.rows[1] and found.rows[1].total
  if math.type(total) == nil then fail("no_total", "there is no total") end
  file.write{root = "out", path = "daily/total.txt", content = "total " .. total}
  email.send{to = {input.to}, subject = "Total", text = "It is " .. total}
  return {total = total}
end
"""


@pytest.fixture
def project(place):
    """A folder with a database, a root to write to, a password for the mail server, and the capability above."""
    with closing(sqlite3.connect(place / "sales.db")) as made:
        made.executescript("CREATE TABLE orders (id INTEGER, total REAL); INSERT INTO orders VALUES (1, 2), (2, 3.5);")
    (place / "out").mkdir()
    (place / "secrets.toml").write_text(f'MAIL = "{PASSWORD}"\n')
    (place / "secrets.toml").chmod(0o600)
    (place / "daily.lua").write_text(f"--[[ capability\n{json.dumps(DAILY)}\n]]{SCRIPT}")
    return place


def configured(folder, port, **more):
    email = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "robot@example.org", "seconds": 20} | more
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in email.items())
    (folder / "ritesmith.toml").write_text(
        f'[email]\n{lines}[sql.sales]\nurl = "sqlite:sales.db"\n[files.out]\npath = "out"\nwrite = true\n'
    )


def opened(folder):
    return RiteSmith.open(str(folder / "registry.db"), environment={})


def opened_with(folder, port, **more):
    configured(folder, port, **more)
    return opened(folder)


def published(app, folder):
    return app.publish_file(folder / "daily.lua").artifact.ref


def test_a_report_is_queried_written_and_mailed_and_a_replay_does_none_of_it_again(project):
    with post_office() as (mailbox, port), opened_with(project, port) as app:
        run = app.run(published(app, project), {"to": "ann@example.com"})
        assert (run.status, run.output) == ("succeeded", {"total": 5.5})
        assert (project / "out" / "daily" / "total.txt").read_text() == "total 5.5"
        (project / "out" / "daily" / "total.txt").unlink()
        assert app.replay(run.run).differences == ()
    assert [each.rcpt_tos for each in mailbox.envelopes] == [["ann@example.com"]]
    assert not (project / "out" / "daily" / "total.txt").exists()


def test_a_capability_that_would_write_to_anyone_is_refused_before_it_exists(project):
    """The trial meets the grant with made inputs; what is not granted reaches nobody, at run time neither."""
    text = (project / "daily.lua").read_text().replace('{"enum": ["ann@example.com"]}', '{"type": "string"}')
    (project / "daily.lua").write_text(text)
    with post_office() as (mailbox, port), opened_with(project, port) as app:
        with pytest.raises(Rejected) as caught:
            published(app, project)
        assert [each.code for each in caught.value.findings] == ["trial_grant_denied"]
    assert mailbox.envelopes == []


def test_a_mail_of_which_nobody_knows_stops_the_run_until_a_person_says(project):
    with rude(**{".": b""}) as (port, heard), opened_with(project, port) as app:
        run = app.run(published(app, project), {"to": "ann@example.com"})
        assert run.status == "unknown"
        mail = next(step for step in run.steps if step.status == "unknown").calls[-1]
        assert mail.args["to"] == ["ann@example.com"], "who is to say whether it happened sees what was to happen"
        assert app.drive(run.run).status == "unknown", "going on does not send it again"
        assert heard.count(b".\r\n") == 1
        ended = app.resolve(run.run, happened=False, by="ann")
        assert heard.count(b".\r\n") == 2, "a person said that it did not happen"
        assert ended.status == "unknown", "and again nobody knows"


def test_a_process_that_dies_while_it_sends_leaves_the_mail_unknown(project, monkeypatch):
    """The entry that tells of the call is durable before the first word to the server."""
    from ritesmith.hosts import email
    from ritesmith.testing import Blown

    def dying(*_):
        raise Blown("the process died here")

    with rude() as (port, heard), opened_with(project, port) as app:
        reference = published(app, project)
        with monkeypatch.context() as patched:
            patched.setattr(email._Session, "deliver", dying)
            with pytest.raises(Blown):
                app.run(reference, {"to": "ann@example.com"})
    with rude() as (port, heard), opened_with(project, port) as app:
        [row] = app.runs()
        assert app.drive(row["id"]).status == "unknown"
        assert heard == []


def test_a_password_that_others_can_read_is_not_used_and_nothing_was_sent(project):
    (project / "secrets.toml").chmod(0o644)
    with post_office() as (mailbox, port), opened_with(project, port, user="ann", password="MAIL") as app:
        run = app.run(published(app, project), {"to": "ann@example.com"})
        assert (run.status, run.error["code"]) == ("failed", "no_secret")
    assert mailbox.envelopes == []


def test_no_file_trace_or_output_holds_a_password_that_a_server_repeats(project, capsys):
    said = f"535 5.7.8 {PASSWORD} is wrong\r\n".encode()
    refusing = {"EHLO": b"250-here\r\n250 AUTH LOGIN PLAIN\r\n", "AUTH": said}
    with rude(**refusing) as (port, _), opened_with(project, port, user="ann", password="MAIL") as app:
        run = app.run(published(app, project), {"to": "ann@example.com"})
        assert run.status == "failed"
        told = app.view(run.run).model_dump_json() + app.mermaid(run.run)
        assert "[secret MAIL]" in told
        assert PASSWORD not in told
    captured = capsys.readouterr()
    assert PASSWORD not in captured.out + captured.err
    holders = [each.name for each in project.rglob("*") if each.is_file() and PASSWORD.encode() in each.read_bytes()]
    assert holders == ["secrets.toml"]
