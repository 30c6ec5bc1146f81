"""Drafts to findings, trial included: the stages of the guard and the sandbox in their order.

It is loaded when something is checked. A run needs none of it, and begins sooner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ritesmith.contract import read_capability, with_header_lines
from ritesmith.dry_run import DryRun, dry_run
from ritesmith.guard.contract import check_contract
from ritesmith.guard.lua import LuaRules, check_lua, check_source, load_rules
from ritesmith.guard.trial import Instead, TrialReport, capability_trial, trial
from ritesmith.guard.workflow import check_workflow
from ritesmith.guard.workflow_shape import read_workflow
from ritesmith.intake import content_folder, read_json
from ritesmith.json_text import with_lines
from ritesmith.models import (
    JSON,
    ArtifactKind,
    Capability,
    CapabilityExample,
    Contract,
    Finding,
    Outcome,
    Value,
    Workflow,
    WorkflowExample,
)
from ritesmith.notebook import FINDINGS_HEAD, Card, Shown, findings_rows
from ritesmith.rehearsal import INPUT_CHANGED, play_capability, rehearse_capability, rehearse_workflow, watched
from ritesmith.step import effective_limits

if TYPE_CHECKING:
    from ritesmith.app import RiteSmith


class Checked(Shown, Value):
    """A draft that was read and checked: the artifact it would become, or the findings that stand against it."""

    kind: ArtifactKind
    name: str = ""
    findings: tuple[Finding, ...] = ()
    capability: Capability | None = None
    workflow: Workflow | None = None
    trial: TrialReport = TrialReport()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop it; warnings do not."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def _card(self) -> Card:
        errors, warnings = len(self.errors), len(self.findings) - len(self.errors)
        tried = f", {self.trial.passed} of {self.trial.cases} examples met" if self.trial.cases else ""
        title = f"{self.kind} '{self.name}': {errors} errors, {warnings} warnings{tried}"
        return Card(title, (), FINDINGS_HEAD, findings_rows(self.findings))


class Checking:
    """Checks drafts as they would be published in this registry."""

    def __init__(self, app: RiteSmith) -> None:
        self.app = app

    @cached_property
    def lua_rules(self) -> LuaRules:
        """What Lua may name."""
        return load_rules(content_folder() / "guardrails" / "lua.toml")

    def check_text(self, text: str, file: str) -> Checked:
        """Check a capability file's or a workflow file's text: shape, sense, then trial; a tier with errors ends it."""
        if file.endswith(".lua"):
            return self.check_capability_text(text, file)
        value, findings = read_json(text, file)
        if findings:
            if not file.endswith(".json"):
                hint = "a capability's file ends in .lua, a workflow's in .json"
                findings = [each.model_copy(update={"hint": hint}) for each in findings]
            return Checked(kind="workflow", findings=tuple(findings))
        checked = self.check_workflow_value(value, file)
        return checked.model_copy(update={"findings": tuple(with_lines(checked.findings, text))})

    def check_capability_text(self, text: str, file: str, examples: Sequence[CapabilityExample] = ()) -> Checked:
        capability, findings = read_capability(text, file)
        if capability is None:
            return Checked(kind="capability", findings=tuple(findings))
        name = capability.contract.name
        findings = check_source(capability.source, self.lua_rules, file)
        if not findings:
            findings = check_contract(capability, catalog=self.app.catalog, limits=self.app.policy.limits, file=file)
            findings += check_lua(
                capability, catalog=self.app.catalog, compile=self._compile, rules=self.lua_rules, file=file
            )
        report = TrialReport()
        if not any(finding.severity == "error" for finding in findings):
            report = self._try_capability(capability, (*capability.contract.examples, *examples), file)
            findings += with_header_lines(report.findings, text)
        return Checked(kind="capability", name=name, capability=capability, findings=tuple(findings), trial=report)

    def _try_capability(self, capability: Capability, examples: Sequence[CapabilityExample], file: str) -> TrialReport:
        most = self.app.policy.limits

        def play(world: CapabilityExample, input: JSON, instead: Instead) -> Outcome:
            played = play_capability(
                self.app.sandbox, capability, input, store=world.store, stubs=world.hosts, limits=most, instead=instead
            )
            return played.outcome

        def unchanged(example: CapabilityExample) -> bool:
            seen = rehearse_capability(self.app.sandbox, watched(capability), example, limits=most)
            return seen.error != INPUT_CHANGED

        return capability_trial(
            capability.contract,
            examples,
            rehearse=lambda example: rehearse_capability(self.app.sandbox, capability, example, limits=most),
            again=lambda example: rehearse_capability(self.app.second_sandbox, capability, example, limits=most),
            play=play,
            unchanged=unchanged,
            catalog=self.app.catalog,
            limits=effective_limits(most, capability),
            file=file,
        )

    def check_workflow_value(
        self,
        value: JSON,
        file: str,
        *,
        drafted: Mapping[str, Capability] | None = None,
        examples: Sequence[WorkflowExample] = (),
    ) -> Checked:
        """Check a workflow; `drafted` are capabilities that are not published yet and may be named by it."""
        workflow, findings = read_workflow(value, file)
        if workflow is None:
            return Checked(kind="workflow", findings=tuple(findings))
        known = drafted or {}

        def resolve(reference: str) -> Contract | None:
            found = known.get(reference) or self.app._find_capability(reference)
            return found.contract if found else None

        names = [artifact.name for artifact in self.app.registry.newest("capability")]
        findings = check_workflow(
            workflow,
            resolve=resolve,
            known_names=[*names, *known],
            catalog=self.app.catalog,
            resolve_workflow=self.app._find_workflow,
            known_workflows=[artifact.name for artifact in self.app.registry.newest("workflow")],
            status=lambda reference: None if reference in known else self.app._status_of(reference),
            ceiling=self.app.policy.run_limits,
            file=file,
        )
        report = TrialReport()
        if not any(finding.severity == "error" for finding in findings):
            report = self._try_workflow(workflow, (*workflow.examples, *examples), file, known)
            findings += report.findings
        return Checked(kind="workflow", name=workflow.name, workflow=workflow, findings=tuple(findings), trial=report)

    def _try_workflow(
        self, workflow: Workflow, examples: Sequence[WorkflowExample], file: str, drafted: Mapping[str, Capability]
    ) -> TrialReport:
        parts, most = self.app.capabilities_of(workflow, drafted), self.app.policy.limits
        return trial(
            examples,
            lambda example: rehearse_workflow(
                self.app.sandbox, workflow, parts, example, limits=most, published=self.app.library
            ),
            lambda example: rehearse_workflow(
                self.app.second_sandbox, workflow, parts, example, limits=most, published=self.app.library
            ),
            file=file,
        )

    def dry_run(self, workflow: Workflow) -> DryRun:
        """Every path through a checked workflow, on stubs; nothing is executed."""

        def contract(reference: str) -> Contract | None:
            found = self.app._find_capability(reference)
            return found.contract if found else None

        return dry_run(workflow, contract, self.app._find_workflow)

    def _compile(self, source: str, names: Sequence[str] | None) -> Finding | None:
        return self.app.sandbox.compile(source, globals=names)
