"""The app's functions as tools: arguments validated and outputs turned into text by the SDK, failures logged here."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from openai.lib.beta.agents import FunctionTool, function_tool

from ..sdk.deadline import Deadline

__all__ = ["FAILED", "Handler", "async_handlers", "handlers"]

FAILED = "the tool failed"  # all that the model is told: an exception's text may hold what is the app's own
Handler = Callable[[dict[str, Any] | str], Any]
log = logging.getLogger("invoke_assistants")


def handlers(functions: Mapping[str, Callable[..., Any]], where: str, deadline: Deadline) -> dict[str, Handler]:
    """By tool name, what to call with the arguments; an async function is run to its end, or until the deadline."""
    return {name: _guarded(_tool(function), name, where, deadline) for name, function in functions.items()}


def async_handlers(functions: Mapping[str, Callable[..., Any]], where: str) -> dict[str, Handler]:
    """By tool name, what to await with the arguments; other functions run in a thread, so that the loop goes on."""
    return {name: _async_guarded(_tool(function), function, name, where) for name, function in functions.items()}


def _tool(function: Callable[..., Any]) -> FunctionTool[Any]:
    return function if isinstance(function, FunctionTool) else function_tool(function)


def _guarded(tool: FunctionTool[Any], name: str, where: str, deadline: Deadline) -> Handler:
    def call(arguments: dict[str, Any] | str) -> Any:
        try:
            output = tool(_object(arguments))
            return _finished(output, deadline) if inspect.isawaitable(output) else output
        except (Exception, asyncio.CancelledError):  # nobody cancels what is no task: the function's own is meant
            log.exception("%s: tool %s failed", where, name)
            return FAILED

    return call


def _async_guarded(tool: FunctionTool[Any], function: Callable[..., Any], name: str, where: str) -> Handler:
    async def call(arguments: dict[str, Any] | str) -> Any:
        try:
            if inspect.iscoroutinefunction(function):
                return await tool(_object(arguments))
            output = await asyncio.to_thread(tool, _object(arguments))
            return await output if inspect.isawaitable(output) else output
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise  # the turn is cancelled, not only what the function waits for
            log.exception("%s: tool %s failed", where, name)
            return FAILED

    return call


def _object(arguments: dict[str, Any] | str) -> dict[str, Any]:
    found = json.loads(arguments) if isinstance(arguments, str) else arguments
    if not isinstance(found, dict):
        raise ValueError("the model's arguments are no JSON object")
    return found


def _finished(output: Awaitable[Any], deadline: Deadline) -> Any:
    async def wait() -> Any:
        async with asyncio.timeout(deadline.left):
            return await output

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    with ThreadPoolExecutor(1) as pool:  # a loop runs in this thread already, so this one needs another
        return pool.submit(asyncio.run, wait()).result()
