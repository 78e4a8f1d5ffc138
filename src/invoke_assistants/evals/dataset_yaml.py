"""The YAML of a dataset, read within bounds: a few bytes of it can stand for more than any memory holds."""

from __future__ import annotations

from typing import Any

import yaml

from ..errors import SettingsError

__all__ = ["load_yaml"]

MOST_VALUES = 100_000
MOST_CHARACTERS = 64 * 1024 * 1024


def load_yaml(content: bytes, where: str) -> Any:
    """What a dataset's YAML says.

    Args:
        where: what it is, for messages.

    Raises:
        SettingsError: it is not YAML, gives a key twice, or unfolds to more than a dataset can be.
    """
    try:
        raw = yaml.load(content.decode(), _Loader)  # noqa: S506 - it is a SafeLoader
    except UnicodeDecodeError as error:
        raise SettingsError(f"{where} is not UTF-8 (byte {error.start})") from None
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingsError(f"{where}{line}: not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(f"{where}: not YAML: {error}") from None
    if _is_too_large(raw):
        raise SettingsError(f"{where} is too large: it holds more than {MOST_VALUES} values, each alias written out")
    return raw


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Refuses keys that are given twice, and merge keys that unfold without end."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping.

        Raises:
            ConstructorError: a key stands there twice.
        """
        node = super().compose_mapping_node(anchor)
        keys: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r:.80} is given twice", key.start_mark
                    )  # fmt: skip
                keys.add(key.value)
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put what its merge keys name into a mapping.

        Raises:
            ConstructorError: it unfolds to too much.
        """
        super().flatten_mapping(node)
        if len(node.value) > MOST_VALUES:
            raise yaml.constructor.ConstructorError(None, None, "its merge keys unfold to too many values", node.start_mark)


def _is_too_large(raw: Any) -> bool:
    """Whether it holds too much as JSON, which writes each alias out; one that names itself never ends."""
    values = characters = 0
    left = [raw]
    while left and values <= MOST_VALUES and characters <= MOST_CHARACTERS:
        value = left.pop()
        values += 1
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, dict):
            left += [*value, *value.values()]
        elif isinstance(value, list | tuple | set):
            left += value
    return bool(left)
