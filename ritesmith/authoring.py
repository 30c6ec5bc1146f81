"""The author tier of one `forge`: a model writes what is missing, and repairs it by findings. A part of `forging`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ritesmith.books import OverBudgetError
from ritesmith.drafts import WORKFLOW_FILE, block_of
from ritesmith.forge.author import CATALOG_ENTRIES, NEIGHBOURS, first_messages, repair_messages
from ritesmith.forge.blocks import WORKFLOW, Draft, capability_name, merge_draft, parse_draft, render, with_examples
from ritesmith.forge.reuse import not_allowed
from ritesmith.grants import hosts_named
from ritesmith.guard.policy import Grant, Subject, decide
from ritesmith.models import JSON, Artifact, Contract, Finding, HostFunction, Value, Where
from ritesmith.search import search

if TYPE_CHECKING:
    from ritesmith.checking import Checked
    from ritesmith.forging import Forging, Made
    from ritesmith.model_server import Models, Reply

EXAMPLES_LEAST = 2
"""Of a capability's own."""
GRANT_CODES = (
    *("grant_missing", "grant_unused", "unknown_host_function", "outside_grant"),
    *("effect_too_wide", "host_not_allowed"),
)
RUN_TIME_CODES = ("example_not_met", "not_deterministic")
_OWN_EXAMPLE = re.compile(r"\$\.examples\[(\d+)\]")


class Authoring:
    """One conversation with a model about one request."""

    def __init__(self, forging: Forging, models: Models) -> None:
        self.forging = forging
        self.app = forging.app
        self.request = forging.request
        self.drafts = forging.drafts
        self.models = models
        held_back = len(self.request.examples) // 3
        self.shown = self.request.examples[: len(self.request.examples) - held_back]
        """Those of the caller's examples that the model may see and a repair is made by; the others decide."""
        actions = {each.name: self.action(each) for each in self.app.catalog.values()}
        self.catalog = [each for each in self.app.catalog.values() if actions[each.name] not in (None, "deny")]
        """The host functions that a draft may be granted."""
        self.waits = [each.name for each in self.catalog if actions[each.name] == "approve"]
        """Those of them with which it waits for a person."""
        self.frozen: dict[str, dict[str, JSON]] = {}
        """Block -> those parts of its contract that a repair must leave as they are."""

    def run(self) -> Made:
        """Ask, check, repair; what came of it, with everything published or nothing."""
        first = messages = self.first()
        draft, before = Draft(), None
        keep: tuple[str, ...] = ()
        for round_ in range(self.forging.rounds + 1):
            try:
                reply = self.ask(messages, round_)
            except OverBudgetError as over:
                self.forging.repairs = max(round_ - 1, 0)
                return "none", str(over), None, ()
            new, findings = parse_draft(reply.text, truncated=reply.truncated)
            checked: list[Checked] = []
            # All blocks of a repair take their places, or none; of a first answer that breaks off, the whole ones do.
            taken = not findings or round_ == 0
            if taken:
                draft = merge_draft(self.without_taken(draft), new, keep)
            if not findings:
                self.forging.on_progress("checking the draft")
                draft, checked, findings = self.check(draft)
            self.forging.note(findings)
            errors = [finding for finding in findings if finding.severity == "error"]
            if not errors:
                return self.accept(checked, messages)
            met = self.forging.met()
            if met is not None:  # nothing is left to repair
                return met
            told = {(each.code, str(each.where), each.message) for each in errors}
            if told == before:
                return "none", f"the model gave the same errors twice: {errors[0].message}", None, ()
            before = told
            if checked:
                blocks = self.blocks(draft, errors)
                keep = tuple(name for name in _names(draft) if name not in blocks)
                messages = repair_messages(first, render(draft), errors, blocks=blocks, kept=keep, catalog=self.catalog)
            else:  # its findings tell lines of the answer
                blocks = [name for name in _names(draft) if name not in keep] if not taken else []
                messages = repair_messages(messages, reply.text, errors, blocks=blocks, kept=keep, catalog=self.catalog)
        count = f"{len(errors)} errors" if len(errors) > 1 else "1 error"
        return "none", f"still {count} after {self.forging.rounds} repairs: {errors[0].message}", None, ()

    def ask(self, messages: Sequence[Mapping[str, Any]], round_: int) -> Reply:
        """The answer of the model whose turn it is."""
        forging = self.forging
        forging.repairs = round_
        forging.on_progress(f"repair {round_} of {forging.rounds}" if round_ else "asking the model")
        models = self.models.order(repair=round_ > 0, last=round_ == forging.rounds)
        reply = forging.session.ask(
            models,
            messages,
            "repair" if round_ else "draft",
            on_text=forging.on_text,
            on_fallback=forging.on_progress,
        )
        forging.model = reply.model
        return reply

    # ------------------------------------------------------------ the question

    def first(self) -> list[dict[str, Any]]:
        """The messages that ask for the draft."""
        contracts, neighbours = self.surroundings()
        composed = self.forging.composed
        covered = {each.clause: each.capability for each in composed.explanation if each.capability} if composed else {}
        gaps = composed.gaps if composed and composed.gaps != (self.request.intent,) else ()
        named = {name: self.contract_named(name) for name in covered.values()}
        nearest = [contract for contract in named.values() if contract is not None]
        nearest += [each for each in contracts if each.name not in named]
        return first_messages(
            self.request.model_copy(update={"examples": self.shown}),
            self.catalog,
            nearest,
            neighbours,
            covered=covered,
            gaps=gaps if covered else (),
            waits=self.waits,
            limits=self.app.policy.limits,
        )

    def action(self, function: HostFunction) -> str | None:
        """What the policy does with a draft that is granted a host function; None: the request does not allow it.

        What a rule says of narrowed grants only is not in it: that depends on what the draft will name.
        """
        if not_allowed(function.effect, (), self.request):
            return None
        subject = Subject(source="model", effect=function.effect, grants=(Grant(function=function.name),))
        return decide(self.app.policy, subject).action

    def contract_named(self, name: str) -> Contract | None:
        """The contract of a published capability that may be used here."""
        artifact = self.app.registry.get(name)
        return self.app.contract(artifact.digest) if self.may_use(artifact) else None

    def may_use(self, artifact: Artifact) -> bool:
        """Whether the request allows what a published capability does."""
        return not not_allowed(artifact.effect, hosts_named([self.app.contract(artifact.digest)]), self.request)

    def surroundings(self) -> tuple[list[Contract], list[str]]:
        """For the prompt: the contracts of what may be used, nearest first, and the texts of near artifacts.

        What undoes one of the nearest stands right after it. A neighbour shares words with the intent.
        """
        intent = self.request.intent
        hits = {hit.digest: place for place, hit in enumerate(search(self.app.connection, intent, 1000))}
        artifacts = self.app.registry.newest("capability")
        artifacts.sort(key=lambda each: (hits.get(each.digest, len(hits)), each.name))
        allowed = [each for each in artifacts if self.may_use(each)]
        contracts = {each.name: self.app.contract(each.digest) for each in allowed}
        order: dict[str, Contract] = {}
        for contract in list(contracts.values())[:CATALOG_ENTRIES]:
            order.setdefault(contract.name, contract)
            if contract.compensated_by in contracts:
                order.setdefault(contract.compensated_by, contracts[contract.compensated_by])
        neighbours = [each.text for each in allowed if each.digest in hits][:NEIGHBOURS]
        return list({**order, **contracts}.values()), neighbours

    # ------------------------------------------------------------ the answer

    def check(self, draft: Draft) -> tuple[Draft, list[Checked], list[Finding]]:
        """Check a draft on the examples that may be shown.

        Where these are met and only examples fail that the model made up, those are left out and the rest is checked:
        nobody has confirmed them.
        """
        checked, findings = self.drafts.check(draft, self.shown)
        changed = [self.contract_changed(one, findings, main=one is checked[-1]) for one in checked]
        findings += [each for found in changed for each in found]
        errors = [finding for finding in findings if finding.severity == "error"]
        lighter = self.without_failing_examples(draft, checked, errors)
        if lighter is None:
            return draft, checked, findings
        again, left = self.drafts.check(lighter, self.shown)
        return lighter, again, left

    def without_failing_examples(
        self, draft: Draft, checked: Sequence[Checked], errors: Sequence[Finding]
    ) -> Draft | None:
        """The draft without those of its own examples that fail, when nothing else is wrong and the caller gave some.

        None when that is not so, or when a capability would have too few examples left.
        """
        if not errors or not self.shown or len(checked) != len(draft.capabilities) + (draft.workflow is not None):
            return None
        failing: dict[str, set[int]] = {}
        for error in errors:
            place = _OWN_EXAMPLE.match(error.where.path)
            if place is None or error.code == "not_deterministic":
                return None
            failing.setdefault(block_of(error), set()).add(int(place[1]))
        texts, workflow = list(draft.capabilities), draft.workflow
        for index, one in enumerate(checked):
            wrong = failing.pop(WORKFLOW if one.workflow is not None else one.name, set())
            said = one.workflow or (one.capability.contract if one.capability else None)
            if not wrong or said is None:
                continue
            mine: Any = self.forging.examples(one.kind, self.shown)[0]
            if any(number >= len(said.examples) or said.examples[number] in mine for number in wrong):
                return None  # it is one of the caller's that fails
            kept = [each for number, each in enumerate(said.examples) if number not in wrong]
            if one.workflow is not None:
                workflow = {**draft.workflow, "examples": [_plain(each) for each in kept]}
                continue
            main = draft.workflow is None and index == len(checked) - 1
            if main:
                kept = [*(each for each in mine if each not in kept), *kept]
            if len(kept) < EXAMPLES_LEAST:
                return None
            texts[index] = with_examples(texts[index], [_plain(each) for each in kept])
        return None if failing else Draft(capabilities=tuple(texts), workflow=workflow)

    def blocks(self, draft: Draft, errors: Sequence[Finding]) -> list[str]:
        """The blocks that must be given again: those with errors, and what runs in a workflow that does wrong."""
        names = _names(draft)
        blamed = {block_of(error) for error in errors}
        if any(block_of(error) == WORKFLOW and error.code in RUN_TIME_CODES for error in errors):
            blamed.update(names)
        return [name for name in names if name in blamed] or names

    def without_taken(self, draft: Draft) -> Draft:
        """A draft without the capabilities whose names the last check found taken: the repair may leave them out."""
        taken = {block_of(finding) for finding in self.forging.findings if finding.code == "name_taken"}
        kept = tuple(text for text in draft.capabilities if capability_name(text) not in taken)
        return draft.model_copy(update={"capabilities": kept})

    def contract_changed(self, checked: Checked, findings: Sequence[Finding], *, main: bool) -> list[Finding]:
        """A repair mends code; the contract that a draft came with, where it was sound, does not change."""
        said = checked.workflow or (checked.capability.contract if checked.capability else None)
        if said is None:
            return []
        file = WORKFLOW_FILE if checked.workflow is not None else f"{checked.name}.lua"
        errors = [each for each in findings if each.severity == "error" and each.where.file == file]
        parts: dict[str, JSON] = {"input": said.input, "output": said.output}
        if main and not any(each.code in ("name_taken", "wrong_name") for each in errors):
            parts["name"] = said.name
        if isinstance(said, Contract):
            parts |= {"grants": said.grants, "compensated_by": said.compensated_by}
        blamed = {"grants"} if any(each.code in GRANT_CODES for each in errors) else set()
        blamed |= {part for part in parts for each in errors if each.where.path.startswith(f"$.{part}")}
        sound = {part: value for part, value in parts.items() if part not in blamed}
        first = self.frozen.setdefault("" if main else checked.name, {})
        for part, value in sound.items():
            first.setdefault(part, value)
        return [
            Finding(
                code="contract_changed",
                where=Where(file=file, path=f"$.{part}"),
                message=f"{part} of '{checked.name}' was changed while it was repaired",
                hint=f"give it as it was: {json.dumps(first[part])}",
            )
            for part, value in parts.items()
            if part in first and value != first[part]
        ]

    # ------------------------------------------------------------ acceptance

    def accept(self, checked: list[Checked], messages: Sequence[Mapping[str, Any]]) -> Made:
        """Publish all of a draft that passed, or nothing when an example that was held back is not met."""
        total = len(self.request.examples)
        unmet = self.drafts.unmet(checked, range(len(self.shown) + 1, total + 1))
        if unmet is not None:
            number, why = unmet
            self.forging.note([Finding(code="held_back_example_not_met", message=f"example {number}: {why}")])
            return "none", f"it fails example {number}, which the model had not seen: {why}", None, ()
        if self.forging.review is not None:
            reviewed = self.drafts.reviewed(checked)
            if reviewed is None:
                return "none", self.forging.refused, None, ()
            checked = reviewed
        main = checked[-1]
        drafted = {one.name: one.capability for one in checked if one.capability is not None}
        prompt = hashlib.sha256(json.dumps(messages, sort_keys=True).encode()).hexdigest()
        used = self.app.capabilities_of(main.workflow, drafted) if main.workflow is not None else {}
        answers = sum(call.outcome == "answered" for call in self.forging.session.calls)
        reason = f"written by {self.forging.model} in {'one answer' if answers == 1 else f'{answers} answers'}"
        reason += f"; {total} of {total} caller's examples pass" if total else ""

        def make() -> Made:
            artifacts: list[tuple[Artifact, bool]] = []
            for one in (*(part for part in checked[:-1] if part.name in used), main):
                before = {artifact.name: artifact for artifact, _ in artifacts}
                # A model's own examples prove nothing about the intent: without the caller's, a person decides.
                waits = not self.request.examples
                artifacts.append(
                    self.forging.publish(one, "model", prompt_digest=prompt, drafted=before, force_approval=waits)
                )
            return "authored", reason, artifacts[-1][0], tuple(artifact.ref for artifact, new in artifacts if new)

        return self.forging.unless_met(make)


def _names(draft: Draft) -> list[str]:
    names = [capability_name(text) or "a lua block without a readable name" for text in draft.capabilities]
    return [*names, WORKFLOW] if draft.workflow is not None else names


def _plain(example: Value) -> JSON:
    return example.model_dump(mode="json", by_alias=True, exclude_unset=True)
