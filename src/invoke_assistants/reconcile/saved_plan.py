"""A plan that was saved: what it was made from, and whether that still stands. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..declare.digest import digest, is_too_deep
from ..errors import Refused, RowsFailed
from ..text import join_errors
from ..types import JSONObject, Key, Location, State, Step
from .diff import declarable_fields
from .plan import Plan
from .rows import as_json, json_value, row_of

__all__ = ["FORMAT", "VERSION", "SavedPlan", "refuse_if_stale", "refuse_other_scope", "refuse_to_save", "remote_digest"]

FORMAT, VERSION = "invoke-assistants plan", 1
PLANNED = ("platform", "id", "state", "action", "digest", "changes")  # keys of a row that say what would be done

Place = tuple[str, Location]  # an environment, and where its instances live


@dataclass(frozen=True)
class SavedPlan:
    """A plan, and what it was made from.

    Args:
        file: its path, for messages.
        only, env: what it was narrowed to; no name means all assistants, None all environments.
        environments: those that it covers, in the promotion order.
        rows: as ``--json`` prints them; those of what is no longer declared are for people.
        recorded: the digest in the store of each declared row; None where nothing is recorded.
        remote: the digest of each declared row's object as it was seen; None where there is none.
        begun: whether its first environment was brought up already, by the deploy that goes on with it.
    """

    file: str
    project: str
    only: tuple[str, ...]
    env: str | None
    environments: tuple[Place, ...]
    rows: tuple[JSONObject, ...]
    recorded: Mapping[Key, str | None]
    remote: Mapping[Key, str | None]
    begun: bool = False

    @classmethod
    def covering(cls, file: str, project: str, only: Iterable[str], env: str | None, environments: Iterable[Place]) -> SavedPlan:
        """What a plan covers, before it is made."""
        return cls(file, project, tuple(only), env, tuple(environments), (), {}, {})

    def made(self, plan: Plan, undeclared: Iterable[Step], state: State) -> SavedPlan:
        """The same with its rows, and what they were made from.

        Args:
            undeclared: steps for what is no longer declared.
            state: what the store holds.
        """
        return replace(
            self,
            rows=tuple(row_of(step) for step in (*plan, *undeclared)),
            recorded={step.key: _recorded_digest(step, state) for step in plan},
            remote={step.key: remote_digest(step.remote) for step in plan},
        )

    @classmethod
    def parse(cls, file: str, document: Any) -> SavedPlan:
        """The plan that ``to_json`` gave, of this version.

        Raises:
            ValueError: it is another document; the message says why, for people.
        """
        if not isinstance(document, dict) or document.get("format") != FORMAT or is_too_deep(document):
            raise ValueError("is not a plan that inv asst.plan --out saved")
        if document.get("version") != VERSION:
            version = json_value(document.get("version"))
            raise ValueError(f"is a plan of format version {version:.20}, and this version of invoke-assistants reads {VERSION}")
        try:
            return cls(
                file=file,
                project=_text(document["project"]),
                only=tuple(_text(name) for name in _list(document["only"])),
                env=None if document["env"] is None else _text(document["env"]),
                environments=tuple(
                    (_text(each["name"]), Location(_text(each["platform"]), _text(each["origin"])))
                    for each in _list(document["environments"])
                ),
                rows=tuple(_row(each) for each in _list(document["rows"])),
                recorded=_by_key(document["recorded"]),
                remote=_by_key(document["remote"]),
            )
        except (AttributeError, KeyError, TypeError):
            raise ValueError("is a plan that was edited, or written by half") from None

    def to_json(self) -> JSONObject:
        """The document of a file: no timestamp, no secret, the same for the same plan."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "project": self.project,
            "only": [*self.only],
            "env": self.env,
            "environments": [
                {"name": name, "platform": location.platform, "origin": location.origin} for name, location in self.environments
            ],
            "rows": [*self.rows],
            "recorded": _by_name(self.recorded),
            "remote": _by_name(self.remote),
        }

    def without_first(self) -> SavedPlan:
        """The same without the first environment, which is brought up by now."""
        (first, _), *later = self.environments
        rows = tuple(row for row in self.rows if row["environment"] != first)
        return replace(self, environments=tuple(later), rows=rows, begun=True)

    def declared_rows(self) -> dict[Key, JSONObject]:
        """The rows of what was declared, which are those that a deploy does."""
        return {key: row for row in self.rows if (key := (row["name"], row["environment"])) in self.recorded}

    def flags(self) -> str:
        """What the plan was narrowed to, as flags with a space before each."""
        words = [word for name in self.only for word in ("--only", name)]
        words += ["--env", self.env] if self.env else []
        return "".join(f" {shlex.quote(word)}" for word in words)


def remote_digest(there: Mapping[str, Any] | None) -> str | None:
    """The digest of an object as it was answered: of its name, its metadata and every field that an assistant can declare."""
    return None if there is None else digest(as_json(declarable_fields(there)))


def refuse_to_save(plan: Plan, file: str) -> None:
    """Refuse to save a plan with rows that a deploy could not do, whatever it is allowed.

    Drift that ``--overwrite`` writes over, and a breaking change that is let through, are saved: the deploy asks for the flag.

    Raises:
        Refused: such rows need a person's decision first.
        RowsFailed: such rows would fail.
    """
    stuck = [step for step in plan if not _can_be_done(step)]
    if not stuck:
        return
    reasons = join_errors(step.error or f"{step.title} is not created: run inv asst.create" for step in stuck)
    refused = any(step.needs_confirmation for step in stuck)
    raise (Refused if refused else RowsFailed)(f"no plan was saved to {file}: deploy could not do it: {reasons}", plan.steps)


def _can_be_done(step: Step) -> bool:
    return step.action in ("update", "none") and (not step.error or (step.needs_confirmation and step.action == "update"))


def refuse_other_scope(saved: SavedPlan, project: str, environments: Sequence[Place], declared: Collection[str]) -> None:
    """Refuse a saved plan of another project, of other environments, or of assistants that are gone. Nothing was asked yet.

    Args:
        environments: all that the settings name, in the promotion order.
        declared: the names of all assistants that are declared.

    Raises:
        Refused: what differs is named.
    """
    if saved.project != project:
        raise Refused(
            f"{saved.file} is a plan for the project {saved.project!r:.80}, and this is {project!r:.80}: nothing was written"
        )
    differences = [*_environment_differences(saved, environments)]
    differences += [f"{name:.80} is no longer declared" for name in saved.only if name not in declared]
    if differences:
        raise Refused(_stale(saved, differences))


def _environment_differences(saved: SavedPlan, environments: Sequence[Place]) -> Iterator[str]:
    planned, now = dict(saved.environments), dict(environments)
    for name, location in planned.items():
        if name not in now:
            yield f"{name:.80} is no longer an environment"
        elif now[name] != location:
            yield f"{name} is on {now[name].label} and was planned on {location.label:.80}"
    if saved.env is None:
        yield from (f"the environment {name} was not in the plan" for name in now if name not in planned)
        if planned.keys() == now.keys() and [*planned] != [*now]:
            yield f"the environments' order is {', '.join(now)}, and was {', '.join(planned)}"


def refuse_if_stale(saved: SavedPlan, plan: Plan, state: State) -> None:
    """Refuse to do a saved plan where what it was made from, or what would be done, is no longer what it was.

    Args:
        plan: what a deploy of the same scope would do now.
        state: what the store holds now.

    Raises:
        Refused: each such row is named, with what differs; nothing was written.
    """
    rows = saved.declared_rows()
    why = {step.key: _difference(saved, rows[step.key], step, state) for step in plan if step.key in rows}
    why |= {step.key: f"{step.title} was not in the plan" for step in plan if step.key not in rows}
    stale = {key: reason for key, reason in why.items() if reason}
    gone = [f"{name:.80} in {environment:.80} is no longer declared" for name, environment in rows.keys() - why.keys()]
    if not stale and not gone:
        return
    if not gone and all(step.key in rows and _is_as_planned(rows[step.key], step, stale) for step in plan):
        raise Refused(f"the plan in {saved.file} is done already: nothing was written", plan.steps)
    marked = plan.updated(replace(step, error=stale[step.key]) for step in plan if step.key in stale)
    begun = any(_is_done(rows[key], plan.step(key)) for key in stale if key in rows)
    message = _stale(saved, [*stale.values(), *sorted(gone)], goes_on=begun and bool(plan.to_do()))
    raise Refused(message, marked.steps)


def _difference(saved: SavedPlan, row: JSONObject, step: Step, state: State) -> str | None:
    """What of a row is no longer as it was planned, in words; None where all of it is."""
    changed = [
        word
        for word, same in (
            ("declared", row["digest"] == step.digest),
            ("recorded", (saved.recorded[step.key], row["id"]) == (_recorded_digest(step, state), step.id)),
            ("remote", saved.remote.get(step.key) == remote_digest(step.remote)),
        )
        if not same
    ]
    if changed:
        done = ": it is as planned already" if _is_done(row, step) else ""
        if len(changed) == 1:
            return f"{step.title}: {changed[0]} is no longer what it was{done}"
        return f"{step.title}: {', '.join(changed[:-1])} and {changed[-1]} are no longer what they were{done}"
    if step.error and not step.needs_confirmation:
        return step.error
    now = row_of(step)
    if json_value([row.get(key) for key in PLANNED]) != json_value([now[key] for key in PLANNED]):
        return f"{step.title}: what would be done is no longer what was planned"
    return None


def _is_done(row: JSONObject, step: Step) -> bool:
    """Whether a row's update was made since it was planned, as by a deploy that was interrupted."""
    planned = row["id"], row["digest"]
    return row["action"] != "none" and planned == (step.id, step.digest) and step.state == "in_sync"


def _is_as_planned(row: JSONObject, step: Step, stale: Container[Key]) -> bool:
    """Whether a row is by now what the plan was to make it."""
    return _is_done(row, step) or (row["action"] == "none" and step.key not in stale)


def _stale(saved: SavedPlan, differences: Sequence[str], *, goes_on: bool = False) -> str:
    again = f"inv asst.plan --out {shlex.quote(saved.file)}{saved.flags()} makes a new one"
    written = "no later environment was written" if saved.begun else "nothing was written"
    rest = f"inv asst.deploy{saved.flags()} does what is left, or " if goes_on else ""
    return f"the plan in {saved.file} is stale: {join_errors(differences)}; {written}: {rest}{again}"


def _recorded_digest(step: Step, state: State) -> str | None:
    record = state.record(step.target)
    return record.digest if record else None


def _by_name(values: Mapping[Key, str | None]) -> JSONObject:
    """By assistant, then environment."""
    out: JSONObject = {}
    for (name, environment), value in values.items():
        out.setdefault(name, {})[environment] = value
    return out


def _by_key(document: Any) -> dict[Key, str | None]:
    return {
        (name, environment): None if value is None else _text(value)
        for name, values in document.items()
        for environment, value in values.items()
    }


def _row(value: Any) -> JSONObject:
    if not value.keys() >= {*PLANNED}:
        raise TypeError
    return {**value, "name": _text(value["name"]), "environment": _text(value["environment"])}


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
