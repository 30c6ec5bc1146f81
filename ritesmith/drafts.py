"""What is held against a draft in one `forge`: guard, trial, examples and leave, and a person's look at it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ritesmith.forge.blocks import WORKFLOW, Draft, capability_name, parse_draft, render
from ritesmith.forge.reuse import not_allowed
from ritesmith.grants import hosts_named
from ritesmith.hosts import effect_of
from ritesmith.models import Capability, Finding, Value, Where
from ritesmith.rehearsal import Rehearsal, rehearse_capability, rehearse_workflow
from ritesmith.runs import user

if TYPE_CHECKING:
    from ritesmith.checking import Checked
    from ritesmith.forging import Forging


class Proposal(Value):
    """A draft as a person is asked about it."""

    text: str
    """Fenced blocks: lua for each capability, json for the workflow."""
    findings: tuple[Finding, ...]
    """What the guard says of it as it stands."""

    @property
    def sound(self) -> bool:
        """Whether it may be accepted."""
        return not any(finding.severity == "error" for finding in self.findings)


Answer = tuple[Literal["accept", "edit", "refuse"], str]
"""What a person says, and for `edit` the text instead."""
Review = Callable[[Proposal], Answer]


class Drafts:
    """Checks drafts for one forge."""

    def __init__(self, forging: Forging) -> None:
        self.forging = forging
        self.app = forging.app
        self.request = forging.request

    def check(self, draft: Draft, given: Sequence[Mapping[str, Any]]) -> tuple[list[Checked], list[Finding]]:
        """Check every block of a draft, the main one against the caller's examples too."""
        checked: list[Checked] = []
        findings: list[Finding] = []
        drafted: dict[str, Capability] = {}
        for index, text in enumerate(draft.capabilities):
            file = f"{capability_name(text) or 'capability'}.lua"
            main = draft.workflow is None and index == len(draft.capabilities) - 1
            examples, wrong = self.forging.examples("capability", given) if main else ((), [])
            one = self.app.checking.check_capability_text(text, file, examples)
            findings += [*one.findings, *wrong, *self.too_wide(one), *self.name_taken(one)]
            checked.append(one)
            if one.capability is not None:
                drafted[one.name] = one.capability
        if draft.workflow is not None and len(drafted) == len(draft.capabilities):
            examples_, wrong = self.forging.examples("workflow", given)
            one = self.app.checking.check_workflow_value(
                draft.workflow, WORKFLOW_FILE, drafted=drafted, examples=examples_
            )
            findings += [*one.findings, *wrong, *self.too_wide(one), *self.name_taken(one)]
            checked.append(one)
        if checked and self.request.name and checked[-1].name and checked[-1].name != self.request.name:
            file = WORKFLOW_FILE if draft.workflow is not None else f"{checked[-1].name}.lua"
            message = f"it is called {checked[-1].name!r}, and {self.request.name!r} is asked for"
            hint = f"name it {self.request.name}"
            findings.append(Finding(code="wrong_name", where=Where(file=file), message=message, hint=hint))
        return checked, findings

    def too_wide(self, checked: Checked) -> list[Finding]:
        """A finding for every capability whose effect is wider than the request allows, or that may speak to others."""
        contracts = [checked.capability.contract] if checked.capability else []
        file, hint = f"{checked.name}.lua", "grant only what is allowed"
        if checked.workflow is not None:
            contracts = self.app.contracts_of(checked.workflow)
            file, hint = WORKFLOW_FILE, "use what is allowed instead"
        where = Where(file=file, path="$.grants" if checked.capability else "$.nodes")
        findings = []
        for contract in contracts:
            effect, named = effect_of(contract), hosts_named([contract])
            refused = not_allowed(effect, named, self.request)
            if refused:
                code = "host_not_allowed" if not not_allowed(effect, (), self.request) else "effect_too_wide"
                findings.append(Finding(code=code, where=where, message=f"'{contract.name}': {refused}", hint=hint))
        return findings

    def name_taken(self, checked: Checked) -> list[Finding]:
        """A model may not publish a new version of what somebody else made, unless it was asked for by name."""
        if not checked.name or checked.name == self.request.name or not self.app.registry.versions(checked.name):
            return []
        file = WORKFLOW_FILE if checked.workflow is not None else f"{checked.name}.lua"
        message = f"'{checked.name}' is already in the registry"
        hint = "use it by its name without writing it again, or give the new one another name"
        return [Finding(code="name_taken", where=Where(file=file), message=message, hint=hint)]

    def unmet(self, checked: Sequence[Checked], numbers: range) -> tuple[int, str] | None:
        """The number of the first of these caller's examples (from 1) that a draft does not meet, and why."""
        main = checked[-1]
        drafted = {one.name: one.capability for one in checked if one.capability is not None}
        rehearse = self._rehearser(main, drafted)
        for number in numbers:
            problems = self.forging.rehearse_raw(rehearse, main.kind, self.request.examples[number - 1])
            if problems:
                return number, problems[0]
        return None

    def _rehearser(self, main: Checked, drafted: Mapping[str, Capability]) -> Callable[[Any], Rehearsal]:
        """How to run one example of a draft that is not published."""
        limits, sandbox = self.app.policy.limits, self.app.sandbox
        if main.capability is not None:
            capability = main.capability
            return lambda example: rehearse_capability(sandbox, capability, example, limits=limits)
        workflow = main.workflow
        assert workflow is not None
        parts, library = self.app.capabilities_of(workflow, drafted), self.app.library
        return lambda example: rehearse_workflow(sandbox, workflow, parts, example, limits=limits, published=library)

    def reviewed(self, checked: list[Checked]) -> list[Checked] | None:
        """What a person accepts of a draft, as it is or edited; None when it is refused, or nobody asked to look.

        What was edited passes the guard and all of the caller's examples again. Accepting is no approval: what waits
        for one by the policy waits all the same.
        """
        review = self.forging.review
        assert review is not None
        text = render(_draft_of(checked))
        findings = [finding for one in checked for finding in one.findings]
        while True:
            proposal = Proposal(text=text, findings=tuple(findings))
            said, edited = review(proposal)
            if said == "refuse":
                self.forging.refused = f"{user()} refused the draft"
                return None
            if said == "accept" and proposal.sound:
                return checked
            if said == "edit":
                text = edited
                self.forging.edited_by = user()
                draft, findings = parse_draft(text)
                if not findings:
                    checked, findings = self.check(draft, self.request.examples)
                self.forging.note(findings)


WORKFLOW_FILE = "workflow.json"


def block_of(finding: Finding) -> str:
    """The block that a finding of `Drafts.check` is about: a capability's name, or WORKFLOW."""
    return WORKFLOW if finding.where.file == WORKFLOW_FILE else finding.where.file.removesuffix(".lua")


def _draft_of(checked: Sequence[Checked]) -> Draft:
    sources = tuple(one.capability.source for one in checked if one.capability is not None)
    workflows = [one.workflow for one in checked if one.workflow is not None]
    value = workflows[0].model_dump(mode="json", by_alias=True, exclude_unset=True) if workflows else None
    return Draft(capabilities=sources, workflow=value)
