"""What a command works in: its project, the store as it was read, and the platforms that it needs."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from ..config.credentials import Credentials
from ..config.environment import Environment
from ..config.project import Project
from ..platforms.connect import connect
from ..platforms.platform import Platform
from ..types import Desired, State
from .reporter import Reporter
from .timing import Timing

__all__ = ["World"]

T = TypeVar("T")


class World:
    """What a command works in: its project, the store's state, and the platforms, each opened once.

    Args:
        command: its name, which the lock tells whoever waits.
        lock: whether something may be written; the store is then locked for the whole run.
    """

    state: State  # as read when the run began, or after creates of earlier runs were settled

    def __init__(self, project: Project, command: str, reporter: Reporter, timing: Timing, *, lock: bool) -> None:
        self.project = project
        self.command = command
        self.reporter = reporter
        self.timing = timing
        self.lock = lock
        self._stack = AsyncExitStack()
        self._platforms: dict[tuple[str, Credentials | None], Platform] = {}

    @property
    def project_name(self) -> str:
        """The namespace of our tags."""
        return self.project.settings.project

    async def platform(self, desired: Desired) -> Platform:
        """The platform of an instance that the settings reach."""
        environment = self.project.settings.environment_for(desired.environment, desired.location)
        assert environment is not None
        return await self.platform_of(environment)

    async def platform_of(self, environment: Environment) -> Platform:
        """The platform of an environment; those with the same URL, key and project share one."""
        key = (environment.location.platform, environment.credentials() if environment.managed_with_key else None)
        if key not in self._platforms:
            before_write = self.project.store.require_lock if self.lock else None
            opened = connect(self.project.settings, environment, self.state, self.reporter.say, before_write)
            self._platforms[key] = await self._stack.enter_async_context(opened)
        return self._platforms[key]

    async def work(self, command: Coroutine[Any, Any, T]) -> T:
        """Read the store, await a command, and close the platforms that it opened."""
        async with self._stack:
            self.state = self.project.store.read()
            return await command
