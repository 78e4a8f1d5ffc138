"""Python functions as tools: the JSON that defines one, and the functions by tool name. Pure; needs no openai.

The definition is the one that the SDK's ``function_tool`` makes (a property test holds the two equal), so that at run
time the same function can be handed to the SDK as the handler of its tool.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, get_type_hints

from ..errors import DeclarationError
from ..text import did_you_mean
from ..types import JSONObject
from .declaration import Declaration, find_non_json, plain

__all__ = ["check_arguments", "define_tool", "define_tools", "tool_functions"]

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # openai-python 3.54, types/shared/function_definition.py
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def define_tools(declaration: Declaration[Any], environment: str) -> list[JSONObject]:
    """Define an assistant's tools in one environment: its functions and its JSON objects, all as plain JSON.

    Raises:
        DeclarationError: a function cannot be a tool, or two tools have the same name.
    """
    definitions: list[JSONObject] = []
    for tool in declaration.fields(environment)["tools"]:
        try:
            definitions.append(define_tool(tool) if callable(tool) else plain(tool))
        except DeclarationError as error:
            raise DeclarationError(f"assistant {declaration.name}: {error}") from None
    names = [each["name"] for each in definitions if each.get("type") == "function" and "name" in each]
    if twice := [name for index, name in enumerate(names) if name in names[:index]]:
        raise DeclarationError(f"assistant {declaration.name}: two tools are called {twice[0]!r:.80}")
    return definitions


def tool_functions(declaration: Declaration[Any], environment: str) -> dict[str, Callable[..., Any]]:
    """The functions among an assistant's tools in one environment, by the name of their tool.

    What the SDK's ``function_tool`` has made is returned as it is.

    Raises:
        DeclarationError: the name of a function cannot be the name of a tool.
    """
    return {_tool_name(tool): tool for tool in declaration.fields(environment)["tools"] if callable(tool)}


def define_tool(function: Callable[..., Any]) -> JSONObject:
    """The JSON that defines a function as a tool: its name, its docstring, and the schema of its parameters.

    Args:
        function: a function or bound method, sync or async, or what the SDK's ``function_tool`` has made of one.

    Raises:
        DeclarationError: it cannot be a tool; names the function and the parameter.
    """
    name = _tool_name(function)
    if _is_sdk_tool(function):
        return {key: plain(value) for key, value in function.definition.items()}  # type: ignore[attr-defined]
    return {
        "type": "function",
        "name": name,
        "description": inspect.getdoc(function) or "",
        "parameters": _schema(name, _parameters(name, function)),
    }


def check_arguments(name: str, arguments: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
    """Compare the names of a call's arguments with the parameters of its function.

    Args:
        parameters: the JSON schema of the tool's parameters.

    Raises:
        ValueError: an argument is missing or not JSON, or there is none of its name.
    """
    if problem := find_non_json(arguments, "the argument"):
        raise ValueError(f"function {name}: {problem}")
    expected = parameters.get("properties", {})
    if parameters.get("additionalProperties") is False and (odd := next((key for key in arguments if key not in expected), None)):
        raise ValueError(f"function {name} takes no argument {odd!r:.80}{did_you_mean(odd, expected)}")
    if missing := [key for key in parameters.get("required", ()) if key not in arguments]:
        raise ValueError(f"function {name} needs the argument {missing[0]!r:.80}")


def _is_sdk_tool(function: Any) -> bool:
    return isinstance(getattr(function, "definition", None), Mapping) and isinstance(getattr(function, "name", None), str)


def _tool_name(function: Any) -> str:
    name = function.name if _is_sdk_tool(function) else getattr(function, "__name__", None)
    if isinstance(function, type) or not isinstance(name, str):
        raise DeclarationError(f"the tool {function!r:.80} is not a function: give a function or a bound method")
    if name == "<lambda>":
        raise DeclarationError("a lambda cannot be a tool: it has no name and no annotations; write a function")
    if not NAME.fullmatch(name):
        raise DeclarationError(f"function {name!r:.80}: a tool's name is 1 to 64 of a-z, A-Z, 0-9, '_', '-'")
    return name


def _parameters(name: str, function: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """The type and the default (or ``...``) of each parameter, in order."""
    try:
        signature = inspect.signature(function)
    except ValueError as error:
        raise DeclarationError(f"function {name}: {error}") from None
    out = {}
    for parameter in signature.parameters.values():
        where = f"function {name}: parameter {parameter.name}"
        if parameter.kind not in NAMED:
            raise DeclarationError(f"{where} is {parameter.kind.description}; every argument of a tool has a name")
        if parameter.name.startswith("_"):
            raise DeclarationError(f"{where} begins with an underscore; a tool's parameters are public")
        if parameter.annotation is parameter.empty:
            raise DeclarationError(f"{where} has no type annotation")
        default = ... if parameter.default is parameter.empty else parameter.default
        out[parameter.name] = (_resolve_annotation(parameter.annotation, function, where), default)
    return out


def _resolve_annotation(annotation: Any, function: Callable[..., Any], where: str) -> Any:
    """Evaluate an annotation, which may be written as a string."""
    source = inspect.unwrap(function)
    owner = _owner(function, source)
    known = {key: value for cls in reversed(owner.__mro__) for key, value in vars(cls).items()} if owner else {}
    generic = (*getattr(owner, "__type_params__", ()), *getattr(source, "__type_params__", ()))
    alone = SimpleNamespace(__annotations__={"it": annotation}, __type_params__=generic)
    try:
        return get_type_hints(alone, getattr(source, "__globals__", {}), known, include_extras=True)["it"]
    except Exception as error:  # an annotation is an expression: evaluating it can raise anything
        raise DeclarationError(f"{where}: the annotation {annotation!r:.80} cannot be resolved: {_first_line(error)}") from None


def _owner(function: Callable[..., Any], source: Any) -> type | None:
    """The class whose body defines a method: annotations may use its names. None for any other function."""
    *path, name = getattr(source, "__qualname__", "").split(".")
    if inspect.ismethod(function):
        bound = function.__self__ if isinstance(function.__self__, type) else type(function.__self__)
        for cls in bound.__mro__:
            if (cls.__module__, f"{cls.__qualname__}.{name}") == (source.__module__, source.__qualname__):
                return cls
    owner: type | None = None
    for part in path:
        found = (vars(owner) if owner else getattr(source, "__globals__", {})).get(part)
        if not isinstance(found, type):
            return None
        owner = found
    return owner


def _schema(name: str, parameters: Mapping[str, tuple[Any, Any]]) -> JSONObject:
    try:
        return _json_schema(parameters)
    except Exception as error:  # types bring schema hooks of their own, which can raise anything
        raise DeclarationError(f"function {name}: {_failing_parameter(parameters)}no JSON schema: {_first_line(error)}") from None


def _json_schema(parameters: Mapping[str, tuple[Any, Any]]) -> JSONObject:
    from pydantic import ConfigDict, create_model

    # A parameter may have the name of a model's own method, so each field gets a neutral name and an alias.
    aliases = {f"argument_{index}": name for index, name in enumerate(parameters)}
    fields: dict[str, Any] = dict(zip(aliases, parameters.values(), strict=True))
    config = ConfigDict(extra="forbid", alias_generator=aliases.__getitem__)
    schema: JSONObject = create_model("ToolArguments", __config__=config, **fields).model_json_schema()
    if problem := find_non_json(schema, "the schema"):
        raise ValueError(problem)
    return schema


def _failing_parameter(parameters: Mapping[str, tuple[Any, Any]]) -> str:
    """``parameter NAME has `` for the first parameter that has no schema on its own, if there is one."""
    for name, parameter in parameters.items():
        try:
            _json_schema({name: parameter})
        except Exception:  # the caller reports it
            return f"parameter {name} has "
    return "its parameters have "


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split("\n\n")[0].split()) or type(error).__name__
