"""Spans for OpenTelemetry where the process traces, and nothing elsewhere.

Only the API is used, and only where something else has loaded it: a process without it, which no SDK can have been set up
in, pays for no import. No span gets the text of an error: it may hold what an assistant was asked or answered.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry import trace

__all__ = ["Attributes", "Span", "describe", "span", "start_span"]

Attributes = Mapping[str, str | int | Sequence[str] | None]  # what is None is left out
PROVIDER = "OTEL_PYTHON_TRACER_PROVIDER"  # has the API load an SDK at its first use


class Span:
    """A span that was started and is to be ended once; what comes after its end is ignored."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def current(self) -> AbstractContextManager[Any]:
        """Make it the current span within a block."""
        from opentelemetry import trace

        return trace.use_span(self._span, record_exception=False, set_status_on_exception=False)

    def set(self, attributes: Attributes) -> None:
        """Set attributes."""
        self._span.set_attributes(_present(attributes))

    def fail(self, error: str) -> None:
        """Mark it as failed.

        Args:
            error: the kind of error, one of a few.
        """
        from opentelemetry.trace import StatusCode

        self._span.set_status(StatusCode.ERROR)
        self._span.set_attribute("error.type", error)

    def end(self, at: int | None = None) -> None:
        """End it, by default now.

        Args:
            at: nanoseconds since 1970.
        """
        with contextlib.suppress(Exception):  # an exporter that fails is no reason to stop what is traced
            self._span.end(at)


def start_span(name: str, attributes: Attributes, *, remote: bool = False) -> Span | None:
    """Start a span as a child of the current one; None where the process does not trace.

    Args:
        remote: the work is another process's, and this one waits for it.
    """
    if "opentelemetry.trace" not in sys.modules and PROVIDER not in os.environ:
        return None
    try:
        from opentelemetry import trace

        kind = trace.SpanKind.CLIENT if remote else trace.SpanKind.INTERNAL
        tracer = trace.get_tracer("invoke_assistants")
        return Span(tracer.start_span(name, kind=kind, attributes=_present(attributes)))
    except Exception as error:  # no API, no provider of that name, or an SDK that fails: no reason to stop what is traced
        logging.getLogger(__name__).debug("no span %s: %s", name, error)
        return None


@contextmanager
def span(name: str, attributes: Attributes) -> Generator[Span | None]:
    """A span around a block, which it fails with; None where the process does not trace."""
    started = start_span(name, attributes)
    if started is None:
        yield None
        return
    try:
        with started.current():
            yield started
    except BaseException as error:
        started.fail(type(error).__qualname__)
        raise
    finally:
        started.end()


def describe(attributes: Attributes) -> None:
    """Set attributes of the current span, if there is one."""
    if "opentelemetry.trace" in sys.modules:
        from opentelemetry import trace

        Span(trace.get_current_span()).set(attributes)


def _present(attributes: Attributes) -> dict[str, str | int | Sequence[str]]:
    return {name: value for name, value in attributes.items() if value is not None}
