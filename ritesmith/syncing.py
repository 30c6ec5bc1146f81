"""What the MCP servers of a project offer, held against what was taken over from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ritesmith.contract import near_miss
from ritesmith.db import transaction
from ritesmith.errors import InvalidInput, NotFound
from ritesmith.hosts import HostFailure
from ritesmith.hosts.mcp_tools import Kept, Row, compare, load, read_listing, save
from ritesmith.models import Finding, Value, Where

if TYPE_CHECKING:
    from ritesmith.app import RiteSmith


class SyncReport(Value):
    """What the MCP servers said of their tools, and what of it is not as it was taken over."""

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that a person must look at; a tool that cannot be used at all is a warning."""
        return tuple(finding for finding in self.findings if finding.severity == "error")


def sync_tools(app: RiteSmith, servers: Sequence[str], *, accept: bool) -> SyncReport:
    """See `RiteSmith.sync_tools`."""
    known = app.settings.mcp
    if not known:
        hint = '[mcp.NAME] with command = ["..."], or with url = "..."'
        raise InvalidInput("ritesmith.toml names no MCP server", hint=hint)
    for name in servers:
        if name not in known:
            near = near_miss(name, known)
            hint = f"did you mean '{near}'?" if near else f"there are: {', '.join(known)}"
            raise NotFound(f"ritesmith.toml has no [mcp.{name}]", hint=hint)
    rows: list[Row] = []
    findings: list[Finding] = []
    for server in servers or tuple(known):
        try:
            listing = app.mcp_servers.listing(server)
        except HostFailure as failure:
            message = str(app.secrets.redact(failure.error.message))
            findings.append(_tool_finding(failure.error.code, f"$.mcp.{server}", message))
            continue
        found, refused = read_listing(server, listing)
        with transaction(app.connection):
            kept = load(app.connection).get(server, Kept())
            kept, its = compare(server, kept, found, refused, accept=accept)
            save(app.connection, server, kept)
        rows += its
        findings += [each for row in its if (each := _row_finding(row)) is not None]
        for name in known[server].tools:
            if name not in kept.tools:
                near = near_miss(name, kept.tools)
                hint = f"did you mean '{near}'?" if near else f"it has: {', '.join(kept.tools) or 'none'}"
                message = f"'{server}' has no tool '{name}'"
                where = f"$.mcp.{server}.tools.{name}"
                findings.append(_tool_finding("unknown_mcp_tool", where, message, hint, warning=True))
    return SyncReport(rows=tuple(rows), findings=tuple(findings))


def _row_finding(row: Row) -> Finding | None:
    """What a person should know about a tool after a sync; None where it is as it should be."""
    where = f"$.mcp.{row.server}.{row.tool}"
    if row.state == "refused":
        message = f"the tool '{row.tool}' cannot be a host function: {row.why}"
        return _tool_finding("mcp_tool_refused", where, message, warning=True)
    if row.state not in ("changed", "gone"):
        return None
    what = f"changed ({row.why})" if row.state == "changed" else f"is gone{row.why and f' ({row.why})'}"
    hint = f"if that is right: ritesmith mcp sync {row.server} --yes"
    return _tool_finding("mcp_tool_changed", where, f"'{row.name}' {what} since it was taken over; it is refused", hint)


def _tool_finding(code: str, path: str, message: str, hint: str = "", *, warning: bool = False) -> Finding:
    where = Where(file="ritesmith.toml", path=path)
    return Finding(code=code, severity="warning" if warning else "error", where=where, message=message, hint=hint)
