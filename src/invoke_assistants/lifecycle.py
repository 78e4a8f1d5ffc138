"""The former name of ``invoke_assistants.commands``; it goes with the next release."""

from __future__ import annotations

from .commands import adopt, check, create, delete, deploy, forget, plan, resolve, serve, status, update

__all__ = ["adopt", "check", "create", "delete", "deploy", "forget", "plan", "resolve", "serve", "status", "update"]
