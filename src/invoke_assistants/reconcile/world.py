"""What a command works in: its project, the store as it was read, and the platforms that it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from ..config.credentials import Credentials
from ..config.environment import Environment
from ..config.project import Project
from ..errors import PlatformError
from ..types import Desired, Location, State
from .model_life import Models, parse_models
from .reporter import Reporter
from .timing import Timing

if TYPE_CHECKING:
    from ..platforms.platform import Platform

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
        self._reached: dict[tuple[str, Location], Platform] = {}  # by environment and location: credentials are read once

    @property
    def project_name(self) -> str:
        """The namespace of our tags."""
        return self.project.settings.project

    async def platform(self, desired: Desired) -> Platform:
        """The platform of an instance that the settings reach."""
        place = desired.environment, desired.location
        if place not in self._reached:
            environment = self.project.settings.environment_for(*place)
            assert environment is not None
            self._reached[place] = await self.platform_of(environment)
        return self._reached[place]

    async def platform_of(self, environment: Environment) -> Platform:
        """The platform of an environment; those with the same URL, key and project share one."""
        key = (environment.location.platform, environment.credentials() if environment.managed_with_key else None)
        if key not in self._platforms:
            from ..platforms.connect import connect

            before_write = self.project.store.require_lock if self.lock else None
            opened = connect(self.project.settings, environment, self.state, self.reporter.say, before_write)
            self._platforms[key] = await self._stack.enter_async_context(opened)
        return self._platforms[key]

    async def ask_for_models(self, desired: Iterable[Desired]) -> Mapping[str, asyncio.Task[Models]]:
        """Begin to ask each account for its models, beside what this run does next; a failure gives no models.

        Returns:
            The answer to come, by environment: of those on platform ``agents`` in which something is recorded.
        """
        recorded = [each for each in desired if each.location.platform == "agents" and self.state.record(each)]
        platforms = {each.environment: await self.platform(each) for each in recorded}
        asked = {platform: asyncio.create_task(_list_models(platform)) for platform in dict.fromkeys(platforms.values())}
        for task in asked.values():
            self._stack.push_async_callback(_cancel, task)
        return {environment: asked[platform] for environment, platform in platforms.items()}

    async def work(self, command: Coroutine[Any, Any, T]) -> T:
        """Read the store, await a command, and close the platforms that it opened."""
        async with self._stack:
            self.state = self.project.store.read()
            return await command


async def _list_models(platform: Platform) -> Models:
    await asyncio.sleep(0)  # the look that the run waits for goes first
    try:
        return parse_models(await platform.list_models() or ())
    except PlatformError:
        return {}


async def _cancel(task: asyncio.Task[Models]) -> None:
    task.cancel()
    await asyncio.wait([task])
