"""The app's functions as tools: the SDK validates arguments and converts outputs; failures are logged here."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import copy_context
from typing import Any

from openai.lib.beta.agents import FunctionTool, function_tool

from ..sdk.deadline import Deadline
from ..sdk.event_loop import is_running
from ..sdk.spans import span
from ..types import JSONObject
from .question import ToolCall
from .turn import Turn

__all__ = ["Handler", "async_handlers", "sync_handlers"]

FAILURE_OUTPUT = "the tool failed"  # the model learns no more: an exception's text may be confidential
Handler = Callable[[JSONObject | str], Any]
log = logging.getLogger("invoke_assistants")


def sync_handlers(turn: Turn) -> dict[str, Handler]:
    """The handlers to call with arguments, by tool name; an async function runs to its end, or until the deadline."""
    return {name: _sync_handler(_tool(function), name, turn) for name, function in turn.functions.items()}


def async_handlers(turn: Turn) -> dict[str, Handler]:
    """The handlers to await with arguments, by tool name; sync functions run in a thread, so that the loop goes on."""
    return {name: _async_handler(_tool(function), function, name, turn) for name, function in turn.functions.items()}


def _tool(function: Callable[..., Any]) -> FunctionTool[Any]:
    return function if isinstance(function, FunctionTool) else function_tool(function)


def _sync_handler(tool: FunctionTool[Any], name: str, turn: Turn) -> Handler:
    def output_of(arguments: JSONObject | str) -> Any:
        try:
            with _tool_span(name):
                output = tool(_parse_arguments(arguments))
                return _wait_for(output, turn.deadline) if inspect.isawaitable(output) else output
        except (Exception, asyncio.CancelledError):  # outside of a task, only the function itself can have cancelled
            log.exception("%s: tool %s failed", turn.where, name)
            return FAILURE_OUTPUT

    def call(arguments: JSONObject | str) -> Any:
        return _reported(turn, ToolCall(name, arguments, output_of(arguments)))

    return call


def _async_handler(tool: FunctionTool[Any], function: Callable[..., Any], name: str, turn: Turn) -> Handler:
    async def output_of(arguments: JSONObject | str) -> Any:
        try:
            with _tool_span(name):
                if inspect.iscoroutinefunction(function):
                    return await tool(_parse_arguments(arguments))
                output = await asyncio.to_thread(tool, _parse_arguments(arguments))
                return await output if inspect.isawaitable(output) else output
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                raise  # the turn is cancelled, not only what the function waits for
            log.exception("%s: tool %s failed", turn.where, name)
            return FAILURE_OUTPUT

    async def call(arguments: JSONObject | str) -> Any:
        return _reported(turn, ToolCall(name, arguments, await output_of(arguments)))

    return call


def _reported(turn: Turn, call: ToolCall) -> Any:
    """Tell whoever asked of a call, and return its output."""
    if turn.on_call is not None:
        turn.on_call(call)
    return call.output


def _tool_span(name: str) -> AbstractContextManager[Any]:
    """A span around a call of one of the app's functions, without its arguments and its output."""
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, "gen_ai.tool.type": "function"}
    return span(f"execute_tool {name}", attributes)


def _parse_arguments(arguments: JSONObject | str) -> JSONObject:
    found = json.loads(arguments) if isinstance(arguments, str) else arguments
    if not isinstance(found, dict):
        raise ValueError("the model's arguments are not a JSON object")
    return found


def _wait_for(output: Awaitable[Any], deadline: Deadline) -> Any:
    async def wait() -> Any:
        async with asyncio.timeout(deadline.left):
            return await output

    if not is_running():
        return asyncio.run(wait())
    with ThreadPoolExecutor(1) as pool:  # a loop runs in this thread already, so this one needs another
        return pool.submit(copy_context().run, asyncio.run, wait()).result()
