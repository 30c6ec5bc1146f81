"""One `forge`, from intent to artifact: reuse, then compose, then author. A part of `app`, which knows the order."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from ritesmith.books import Budget, Call, Session
from ritesmith.contract import shape_findings
from ritesmith.db import transaction
from ritesmith.drafts import Drafts, Review
from ritesmith.errors import ForgeExhausted, InvalidInput, ModelUnavailable, NotFound, Untrusted
from ritesmith.forge.compose import Composition, compose
from ritesmith.forge.reuse import (
    EXAMPLES_NEEDED,
    Candidate,
    Evidence,
    Request,
    Verdict,
    contract_fits,
    is_exact,
    judge,
    normalise,
    not_allowed,
    shared,
)
from ritesmith.models import (
    EFFECT_ORDER,
    JSON,
    NAME_PATTERN,
    Artifact,
    CapabilityExample,
    Finding,
    Value,
    Where,
    WorkflowExample,
)
from ritesmith.notebook import Card, Shown
from ritesmith.rehearsal import Rehearsal, same
from ritesmith.search import Hit, search, with_fields

if TYPE_CHECKING:
    from ritesmith.app import RiteSmith
    from ritesmith.checking import Checked
    from ritesmith.model_server import Models

Number = TypeVar("Number", int, float)
CANDIDATES = 10
CANDIDATES_BY_FIELDS = 30
FIELDS_MOST = 20
EXPECTED = ("output", "error", "outcome", "status", "store_after")
"""What an example says of what comes out; all else in it is given."""
MAKING = ("composed", "authored")
"""Tiers that publish something new; the others find what is there, and remember the words themselves."""
GUARDED_STEPS_MIN = 2
"""A composition of one step is the capability itself: that is for the reuse ladder to judge."""

NO_MODEL = (
    "to have the missing part written, name a model server: set OPENAI_API_KEY, or RITESMITH_LLM_BASE_URL for any "
    "OpenAI-compatible server, and RITESMITH_LLM_MODEL"
)


Made = tuple[str, str, Artifact | None, tuple[str, ...]]
"""What a tier came to: its result, the reason, the artifact, and all that was published."""


class TierReport(Value):
    """What one tier of the forge did."""

    tier: str
    result: str
    reason: str
    seconds: float


class TriedExample(Value):
    """One of the caller's examples on one candidate."""

    number: int
    """From 1, as they were given."""
    result: Literal["passed", "failed", "not run"]
    problem: str = ""


class CandidateReport(Value):
    """What became of one artifact that the search proposed."""

    ref: str
    kind: str
    score: float | None
    """Of the text search; None: it bears the very phrasing, and was not searched for."""
    tier: str
    passed: int
    total: int
    vetoed: bool = False
    """Its words may mean something else: examples alone will not make it the same."""
    reason: str
    by_words: bool = True
    """It was found by the intent's words; else by the fields of the caller's examples."""
    cosine: float | None = None
    """How near its nearest phrasing lies, by the embedder of the extra `embed`; None: there is none."""
    nearest: str = ""
    """Of its phrases, the one that shares most words with the intent."""
    effect: str = ""
    misfits: tuple[str, ...] = ()
    """Why the caller's examples cannot be calls of it."""
    vetoes: tuple[str, ...] = ()
    """Why its words may mean something else."""
    examples: tuple[TriedExample, ...] = ()
    own_green: bool | None = None
    """Whether its own examples pass; None: not run."""


class ForgeReport(Shown, Value):
    """What one `forge` did: the artifact in the end, and how it came to it.

    Tokens and cost are 0 without a model, and None where one of its calls took nobody knows how many.
    """

    intent: str
    tier: str
    artifact: str | None = None
    kind: str | None = None
    status: str | None = None
    reason: str
    tiers: tuple[TierReport, ...] = ()
    candidates: tuple[CandidateReport, ...] = ()
    gaps: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Those that are left in the end."""
    findings_by_code: dict[str, int] = Field(default={})
    """Code -> how many were found in all drafts together, those that a repair has mended included."""
    rounds: int = 0
    """Repairs that were asked for."""
    published: tuple[str, ...] = ()
    dry_run: bool = False
    model: str | None = None
    """The last one that answered, as its server names it."""
    calls: int = 0
    model_calls: tuple[Call, ...] = ()
    tokens: int | None = 0
    tokens_in: int | None = 0
    tokens_cached: int | None = 0
    tokens_out: int | None = 0
    cost: float | None = 0.0
    seconds: float = 0.0

    def _card(self) -> Card:
        tokens = "unknown" if self.tokens is None else self.tokens
        facts = [("intent", self.intent), ("artifact", self.artifact), ("why", self.reason), ("tokens", tokens)]
        rows = [(each.tier, each.result, each.reason, f"{each.seconds:.3f}") for each in self.tiers]
        return Card(f"{self.tier}: {self.artifact or 'nothing'}", facts, ("tier", "result", "why", "seconds"), rows)


class Forging:
    """The state of one forge. `run` is its whole life."""

    def __init__(
        self,
        app: RiteSmith,
        request: Request,
        models: Models | None,
        *,
        rounds: int,
        budget: Budget | None = None,
        dry_run: bool,
        explain: bool = False,
        on_progress: Callable[[str], None] = lambda text: None,
        on_text: Callable[[str], None] | None = None,
        review: Review | None = None,
        monotonic_clock: Callable[[], float] = monotonic,
    ) -> None:
        self.app = app
        self.request = request
        self.models = models
        self.rounds = rounds
        self.dry_run = dry_run
        self.on_progress = on_progress
        self.on_text = on_text
        self.review = review
        self.explain = explain
        forge = f"f{secrets.token_hex(5)}"
        self.session = Session(app.books, forge, request.intent, budget or Budget(), clock=monotonic_clock)
        if models is not None:
            self.session.check(models.all)
        self.tiers: list[TierReport] = []
        self.candidates: list[CandidateReport] = []
        self.gaps: tuple[str, ...] = ()
        self.findings: tuple[Finding, ...] = ()
        self.found: Counter[str] = Counter()
        """Findings by their code, of all drafts together."""
        self.repairs = 0
        self.model: str | None = None
        """The last one that answered."""
        self.refused = ""
        """That a person did not want what was made; empty when nobody refused."""
        self.edited_by = ""
        """Who changed the draft by hand."""
        self.drafts = Drafts(self)
        self.composed: Composition | None = None
        self.decided = 0
        """The last decision that was looked at."""
        self.tier, self.tier_began = "", 0.0
        self.made: ForgeReport | None = None
        """What was published and remembered."""
        self.began = perf_counter()

    def run(self) -> ForgeReport:
        """Try the tiers in order; the report of the first that came to something, or ForgeExhausted with it."""
        self.decided = self.app.registry.last_decision()
        for tier in (self.reuse, self.compose, self.author):
            self.tier, self.tier_began = tier.__name__, perf_counter()
            try:
                result, reason, artifact, published = tier()
            except ModelUnavailable as error:
                self.told("none", error.message)
                error.facts["report"] = self.report("none", error.message, None, ()).model_dump(mode="json")
                raise
            if self.made is not None:
                return self.made
            self.told(result, reason)
            if self.refused:
                break
            if artifact is not None:
                report = self.report(result, reason, artifact, published)
                if not self.dry_run:
                    self.remember(report, artifact)
                return report
        reason = self.refused or (self.tiers[-1].reason if self.models else self.missing())
        report = self.report("none", reason, None, ())
        raise ForgeExhausted(
            f"nothing acceptable was found for {self.request.intent!r}: {reason}",
            hint="" if self.refused else self.advice(),
            report=report.model_dump(mode="json"),
        )

    def note(self, findings: Sequence[Finding]) -> None:
        """Keep what was found in a draft."""
        self.findings = tuple(findings)
        self.found.update(each.code for each in findings)

    def told(self, result: str, reason: str) -> None:
        """Keep what the tier came to."""
        seconds = perf_counter() - self.tier_began
        self.tiers.append(TierReport(tier=self.tier, result=result, reason=reason, seconds=seconds))

    def unless_met(self, make: Callable[[], Made]) -> Made:
        """Publish with `make`, and remember it in the same transaction, unless the same was made meanwhile.

        Of two processes that are asked the same thing at once the second finds what the first has made, and uses that
        if it answers this request too.
        """
        registry = self.app.registry
        while True:
            with transaction(self.app.connection):
                since, self.decided = self.decided, registry.last_decision()
                if not registry.made_since(since, self.request.intent):
                    made = result, reason, artifact, published = make()
                    if not self.dry_run and artifact is not None:
                        self.told(result, reason)
                        self.made = self.report(result, reason, artifact, published)
                        self.remember(self.made, artifact)
                    return made
            met = self.reused_anew()
            if met is not None:
                return met

    def met(self) -> Made | None:
        """What another process has made for the same words meanwhile, if it answers this request; None otherwise."""
        since, self.decided = self.decided, self.app.registry.last_decision()
        return self.reused_anew() if self.app.registry.made_since(since, self.request.intent) else None

    def reused_anew(self) -> Made | None:
        """What the registry holds by now, judged from the beginning; None when nothing in it is proved."""
        self.candidates.clear()
        found = self.reuse()
        return None if found[2] is None else found

    def remember(self, report: ForgeReport, artifact: Artifact) -> None:
        """Log the decision; the caller's words find what was made for them, or will once it is approved."""
        registry, intent = self.app.registry, self.request.intent
        with transaction(self.app.connection):
            registry.log_decision(intent, report.tier, artifact.ref, report.reason, report.model_dump(mode="json"))
            if artifact.status == "active" and report.tier in MAKING:
                registry.add_alias(artifact.name, intent, {"source": report.tier, "digest": artifact.digest})

    def report(self, tier: str, reason: str, artifact: Artifact | None, published: tuple[str, ...]) -> ForgeReport:
        """What has been done so far."""
        calls = self.session.calls
        tokens_in = _total(call.tokens_in for call in calls)
        tokens_out = _total(call.tokens_out for call in calls)
        return ForgeReport(
            intent=self.request.intent,
            tier=tier,
            artifact=artifact.ref if artifact else None,
            kind=artifact.kind if artifact else None,
            status=artifact.status if artifact else None,
            reason=reason,
            tiers=tuple(self.tiers),
            candidates=tuple(self.candidates),
            gaps=self.gaps,
            findings=self.findings,
            findings_by_code=dict(sorted(self.found.items())),
            rounds=self.repairs,
            published=published,
            dry_run=self.dry_run,
            model=self.model,
            calls=len(calls),
            model_calls=tuple(calls),
            tokens=_total((tokens_in, tokens_out)),
            tokens_in=tokens_in,
            tokens_cached=_total(call.tokens_cached for call in calls),
            tokens_out=tokens_out,
            cost=_total(call.cost for call in calls),
            seconds=perf_counter() - self.began,
        )

    def nearest(self) -> CandidateReport | None:
        """The best of the candidates that nothing speaks against but the lack of proof; else the best vetoed one."""
        proposed = [each for each in self.candidates if each.tier == "proposed"]
        return min(proposed, key=lambda each: each.vetoed, default=None)

    def missing(self) -> str:
        """What stands in the way, in words."""
        parts = []
        nearest = self.nearest()
        if nearest is not None:
            parts.append(f"the nearest is '{nearest.ref}', but {nearest.reason}")
        if self.gaps:
            parts.append("no capability for: " + "; ".join(self.gaps))
        elif self.findings:
            parts.append(f"what could be composed does not pass: {self.findings[0].message}")
        return "; ".join(parts) or "nothing in the registry answers it"

    def advice(self) -> str:
        """What to do now."""
        advice = []
        nearest = self.nearest()
        if nearest is not None:
            prove = "" if nearest.vetoed else ", or prove it with --examples FILE (at least two examples)"
            advice.append(f"if '{nearest.ref}' is what you mean, run it by its name{prove}")
        if self.models is None:
            advice.append(NO_MODEL)
        return "; ".join(advice)

    # ------------------------------------------------------------ reuse

    def reuse(self) -> Made:
        """Look what is there; contract and executed examples decide. The first that they prove is taken.

        With `explain` the others are judged as well, which changes nothing about the choice.
        """
        best: tuple[Artifact, Verdict, Evidence] | None = None
        for artifact, hit in self.proposed():
            candidate = self.app.candidate(artifact, hit.score).model_copy(update={"by_words": hit.by_words})
            try:
                evidence, tried = self.evidence(candidate, artifact)
                verdict = judge(candidate, self.request, evidence)
            except Untrusted as error:
                evidence, tried, verdict = Evidence(), [], Verdict(tier="none", reason=error.message)
            self.candidates.append(self.told_of(candidate, hit, evidence, verdict, tried))
            proved = verdict.tier in ("exact", "verified")
            if proved and (best is None or (verdict.tier == "exact" and best[1].tier != "exact")):
                best = artifact, verdict, evidence
            if best is not None and not self.explain:
                break
        if best is None:
            waiting = self.waiting()
            if waiting is not None:
                return "exact", "it was made for these very words, and waits for a person's approval", waiting, ()
            count = len(self.candidates)
            return "none", f"{count} candidates looked at, none proved" if count else "no candidates", None, ()
        artifact, verdict, evidence = best
        if not self.dry_run:
            proof = {"source": "reuse", "tier": verdict.tier, "passed": evidence.passed, "digest": artifact.digest}
            self.app.registry.add_alias(artifact.name, self.request.intent, proof)
        return verdict.tier, verdict.reason, artifact, ()

    def proposed(self) -> Iterator[tuple[Artifact, Hit]]:
        """What to look at: what bears this very phrasing, the search's best, and what has the examples' fields."""
        registry, seen = self.app.registry, set[str]()
        for name in registry.names_of_phrase(self.request.intent):
            try:
                artifact = registry.get(name)
            except NotFound:  # only drafts, or all of its versions were revoked
                continue
            seen.add(name)
            yield artifact, Hit(name, artifact.digest, 0.0)
        for hit in self.hits():
            if hit.name not in seen:
                seen.add(hit.name)
                yield registry.by_digest(hit.digest), hit

    def hits(self) -> Iterator[Hit]:
        """The search's best, and then, where these do not prove to be it, the artifacts with the examples' fields."""
        yield from self.app.hits(self.request.intent, CANDIDATES)
        fields = fields_of(self.request.examples)
        yield from with_fields(self.app.connection, fields, self.request.intent, CANDIDATES_BY_FIELDS)

    def told_of(
        self, candidate: Candidate, hit: Hit, evidence: Evidence, verdict: Verdict, tried: Sequence[TriedExample]
    ) -> CandidateReport:
        """What became of a candidate, with all that spoke for and against it."""
        return CandidateReport(
            ref=candidate.ref,
            kind=candidate.kind,
            score=None if is_exact(candidate, self.request) else round(candidate.score, 3),
            tier=verdict.tier,
            passed=evidence.passed,
            total=evidence.total,
            vetoed=bool(verdict.vetoes),
            reason=verdict.reason,
            by_words=candidate.by_words,
            cosine=None if hit.cosine is None else round(hit.cosine, 3),
            nearest=max(candidate.phrases, key=lambda phrase: shared(self.request.intent, phrase)),
            effect=candidate.effect,
            misfits=verdict.misfits,
            vetoes=verdict.vetoes,
            examples=tuple(tried),
            own_green=evidence.own_green,
        )

    def waiting(self) -> Artifact | None:
        """The draft that was made for this very intent, when the caller's examples pass on it: it is not made twice."""
        for ref in self.app.registry.made_for(self.request.intent):
            artifact = self.app.registry.get(ref)
            if artifact.status != "draft" or self.request.name not in (None, artifact.name):
                continue
            evidence, _ = self.evidence(self.app.candidate(artifact), artifact, whole=True)
            if evidence.own_green and not evidence.failed:
                return artifact
        return None

    def evidence(
        self, candidate: Candidate, artifact: Artifact, *, whole: bool = False
    ) -> tuple[Evidence, list[TriedExample]]:
        """Run the caller's examples on it, up to the first that fails, and its own where they could make it the one.

        All are run on what bears the very phrasing, with `explain`, or where the `whole` is asked for. Nothing is run
        where the contract cannot fit.
        """
        whole = whole or self.explain or is_exact(candidate, self.request)
        given = self.request.examples
        total = len(given)
        tried = [TriedExample(number=number, result="not run") for number in range(1, total + 1)]
        refused = not_allowed(candidate.effect, candidate.hosts, self.request)
        if refused or contract_fits(candidate, self.request):
            return Evidence(total=total), tried
        rehearse = self.app.rehearser(artifact)
        messages = []
        for index, raw in enumerate(given):
            problems = self.rehearse_raw(rehearse, artifact.kind, raw)
            if not problems:
                tried[index] = TriedExample(number=index + 1, result="passed")
                continue
            tried[index] = TriedExample(number=index + 1, result="failed", problem=problems[0])
            messages.append(f"example {index + 1}: {problems[0]}")
            if not whole:
                break
        passed = sum(each.result == "passed" for each in tried)
        own = None
        if not messages and (whole or passed >= EXAMPLES_NEEDED):
            own = self.own_green(artifact, rehearse)
        return Evidence(
            own_green=own, passed=passed, failed=len(messages), total=total, messages=tuple(messages)
        ), tried

    def own_green(self, artifact: Artifact, rehearse: Callable[[Any], Rehearsal]) -> bool:
        """Whether its own examples pass; asked once in a process, since the same script gives the same bytes again."""
        key = artifact.digest, self.app.policy.digest
        if key not in self.app.proved:
            self.app.proved[key] = all(rehearse(example).met for example in self.app.said(artifact).examples)
        return self.app.proved[key]

    @staticmethod
    def rehearse_raw(rehearse: Callable[[Any], Rehearsal], kind: str, raw: Mapping[str, Any]) -> Sequence[str]:
        """Why one of the caller's examples is not met; empty when it is."""
        example, findings = read_example(kind, raw, "$")
        if example is None:
            return [f"it is no example of a {kind}: {findings[0].where.path} {findings[0].message}"]
        return rehearse(example).problems

    # ------------------------------------------------------------ compose

    def compose(self) -> Made:
        """Put it together from what is there, without a model."""
        composition = self.composed = self.composition()
        self.gaps = composition.gaps
        drafts = [draft for draft in composition.drafts if _steps(draft) >= GUARDED_STEPS_MIN]
        if not drafts:
            return "none", _gaps_told(composition) if self.gaps else "nothing to compose", None, ()
        examples, findings = self.examples("workflow")
        if findings:
            self.note(findings)
            return "none", findings[0].message, None, ()
        for draft in drafts:
            value = {**draft, "examples": [*draft.get("examples", []), *self.request.examples]}
            value["name"] = self.request.name or self.free_name(draft["name"])
            checked = self.app.checking.check_workflow_value(value, "composed.json")
            widened = self.drafts.too_wide(checked)
            if checked.errors or widened:
                self.note((*checked.errors, *widened))
                continue
            self.note(checked.findings)
            if self.review is not None:
                reviewed = self.drafts.reviewed([checked])
                if reviewed is None:
                    return "none", self.refused, None, ()
                checked = reviewed[-1]
                assert checked.workflow is not None
                draft = checked.workflow.model_dump(mode="json", by_alias=True)
            parts = ", ".join(node["capability"] for node in draft["nodes"] if node["kind"] == "task")
            proof = f"; {len(examples)} of {len(examples)} caller's examples pass" if examples else ""
            reason = f"made of {parts}{proof}"

            def make(checked: Checked = checked, reason: str = reason) -> Made:
                artifact, new = self.publish(checked, "composed", force_approval=not examples)
                return "composed", reason, artifact, (artifact.ref,) if new else ()

            return self.unless_met(make)
        return "none", f"what could be composed does not pass: {self.findings[0].message}", None, ()

    def free_name(self, name: str) -> str:
        """`name`, or with some digits of the intent's digest where it belongs to another intent."""
        intent = normalise(self.request.intent)
        if all(normalise(each.provenance.intent) == intent for each in self.app.registry.versions(name)):
            return name
        return f"{name}_{hashlib.sha256(intent.encode()).hexdigest()[:6]}"

    def composition(self) -> Composition:
        """What the composer makes of the intent with the published capabilities."""
        artifacts = self.app.registry.newest("capability")
        contracts = [self.app.contract(each.digest) for each in artifacts]
        effects = {each.name: each.effect for each in artifacts}
        known = set(effects)

        def rank(clause: str) -> list[tuple[str, float]]:
            return [
                (hit.name, hit.score) for hit in search(self.app.connection, clause, CANDIDATES) if hit.name in known
            ]

        return compose(
            self.request.intent, contracts, rank, effect_of=effects.__getitem__, examples=self.request.examples
        )

    # ------------------------------------------------------------ author

    def author(self) -> Made:
        """Have a model write what is missing; repair by findings, and accept on examples that it never saw."""
        if self.models is None:
            return "none", "no model is configured", None, ()
        from ritesmith.authoring import Authoring

        return Authoring(self, self.models).run()

    # ------------------------------------------------------------ shared

    def publish(self, checked: Checked, source: Literal["composed", "model"], **more: Any) -> tuple[Artifact, bool]:
        """Publish what was checked; in a dry run only what it would be is told."""
        broken = self.app.breaks(checked, more.get("drafted"))
        if broken:  # only a person may decide that those who use it have to change
            told = [Finding(code="breaking_change", severity="warning", message=each) for each in broken]
            checked = checked.model_copy(update={"findings": (*checked.findings, *told)})
            more["force_approval"] = True
        spent = self.report("", "", None, ())
        return self.app.publish_checked(
            checked,
            source=source,
            author=f"{self.model or 'composer'}{self.edited_by and f', edited by {self.edited_by}'}",
            intent=self.request.intent,
            model=self.model,
            tokens=spent.tokens,
            cost=spent.cost,
            dry_run=self.dry_run,
            **more,
        )

    def examples(
        self, kind: str, raw: Sequence[Mapping[str, Any]] | None = None
    ) -> tuple[tuple[Any, ...], list[Finding]]:
        """The caller's examples as examples of this kind, or the findings why they are none."""
        read = [
            read_example(kind, each, f"$[{index}]")
            for index, each in enumerate(self.request.examples if raw is None else raw)
        ]
        return tuple(example for example, _ in read if example), [each for _, findings in read for each in findings]


def fields_of(examples: Iterable[Mapping[str, Any]]) -> list[str]:
    """The fields that the examples pass and expect, each once."""
    sides = (example.get(side) for example in examples for side in ("input", "output"))
    return list(dict.fromkeys(key for side in sides if isinstance(side, dict) for key in side))[:FIELDS_MOST]


def read_example(
    kind: str, raw: Mapping[str, Any], path: str
) -> tuple[CapabilityExample | WorkflowExample | None, list[Finding]]:
    """One of the caller's examples as an example of a capability or a workflow, or why it is none."""
    model = CapabilityExample if kind == "capability" else WorkflowExample
    try:
        return model.model_validate(raw), []
    except ValidationError as error:
        found = shape_findings(error, model.model_fields, code="example_shape", file="examples")
        placed = [
            each.model_copy(update={"where": Where(file="examples", path=path + each.where.path[1:])}) for each in found
        ]
        return None, placed


def read_request(
    intent: str, examples: Sequence[Any], effect: Any, name: str | None, hosts: Sequence[str] = ()
) -> Request:
    """What the caller asks for, with every example at least the shape of one; InvalidInput otherwise."""
    words = intent.strip()
    if len(words) < 3 or not any(letter.isalpha() for letter in words):
        raise InvalidInput(
            f"the intent {intent!r} says nothing", hint='say what is wanted, such as "average of numbers"'
        )
    if len(words) > 2000:
        raise InvalidInput(f"the intent has {len(words)} characters; at most 2000 are read")
    if name is not None and not re.fullmatch(NAME_PATTERN, name):
        raise InvalidInput(
            f"{name!r} cannot be a name", hint="a name is like text.initials: small words joined by points"
        )
    for index, example in enumerate(examples):
        if not isinstance(example, dict) or "input" not in example:
            raise InvalidInput(
                f"example {index + 1} has no input",
                hint='an example is {"input": ..., "output": ...} or has an "error"',
            )
        if not example.keys() & set(EXPECTED):
            raise InvalidInput(
                f"example {index + 1} does not say what should come out",
                hint='give "output" or "error"; for a workflow also "outcome", "status" or "store_after"',
            )
        fits = [read_example(kind, example, f"$[{index}]") for kind in ("workflow", "capability")]
        if all(found is None for found, _ in fits):
            wrong = fits[0][1][0]
            raise InvalidInput(f"example {index + 1}: {wrong.where.path} {wrong.message}", hint=wrong.hint)
    contradicting = contradiction(examples)
    if contradicting is not None:
        one, other = contradicting
        raise InvalidInput(
            f"examples {one} and {other} contradict each other: what is given is the same, what should come out is not",
            hint="correct one of them",
        )
    if effect not in EFFECT_ORDER:
        raise InvalidInput(f"the effect {effect!r} is none", hint="say pure, read or write")
    from ritesmith.hosts.http import HOST_PATTERN

    for host in hosts:
        if not re.fullmatch(HOST_PATTERN, host):
            raise InvalidInput(
                f"{host!r} is no host that a grant can name",
                hint="write it as in a URL, in lower case, such as api.example.com or api.example.com:8443",
            )
    allowed = tuple(dict.fromkeys(hosts))
    return Request(intent=words, examples=tuple(examples), effect=effect, hosts=allowed, name=name)


def contradiction(examples: Sequence[Mapping[str, Any]]) -> tuple[int, int] | None:
    """The numbers, from 1, of two examples that nothing could meet together; None when there are none.

    >>> contradiction([{"input": {"n": 1}, "output": {"sum": 2}}, {"input": {"n": 1}, "error": "negative"}])
    (1, 2)
    """
    known: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        given = {key: value for key, value in example.items() if key not in EXPECTED}
        alike = known.setdefault(json.dumps(given, sort_keys=True), [])
        for before in alike:
            one = examples[before]
            if any(not same(one[key], example[key]) for key in EXPECTED if key in one and key in example):
                return before + 1, index + 1
            if any("error" in first and "output" in second for first, second in ((one, example), (example, one))):
                return before + 1, index + 1
        alike.append(index)
    return None


def _gaps_told(composition: Composition) -> str:
    """The clauses that nothing answers, each with its reason; of an only one the candidates say as much."""
    gaps = [each for each in composition.explanation if each.capability is None]
    if len(composition.explanation) > 1 or any(each.why.endswith("in English") for each in gaps):
        return "no capability for: " + "; ".join(f"{each.clause} ({each.why})" for each in gaps)
    return "no capability for: " + "; ".join(each.clause for each in gaps)


def _steps(draft: Mapping[str, JSON]) -> int:
    return sum(1 for node in draft.get("nodes", []) if node.get("kind") == "task")


def _total(counts: Iterable[Number | None]) -> Number | int | None:
    """The sum, or None when one of them is not known."""
    found = list(counts)
    known = [count for count in found if count is not None]
    return sum(known) if len(known) == len(found) else None
