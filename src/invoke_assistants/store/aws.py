"""The settings and credentials of S3 where AWS's own tools look for them, as far as obstore does not by itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import SettingsError

__all__ = ["aws_settings"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Where credentials come from before a profile is looked for.
_WITHOUT_PROFILE = (
    "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)  # fmt: skip


def aws_settings(environ: Mapping[str, str]) -> tuple[dict[str, Any], Any]:
    """The settings and the credentials of S3 that obstore does not find by itself.

    Raises:
        SettingsError: the endpoint is http on another machine, or the credentials are in a profile that cannot be read.
    """
    config: dict[str, Any] = {}
    if endpoint := environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL"):
        config["endpoint"] = endpoint
        allowed = environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true")
        config["allow_http"] = endpoint.startswith("http://")
        if config["allow_http"] and not allowed and urlsplit(endpoint).hostname not in LOOPBACK:
            raise SettingsError("AWS_ENDPOINT_URL is http to another machine: use https, or set AWS_ALLOW_HTTP=true")
    if not any(name in environ for name in ("AWS_REGION", "AWS_DEFAULT_REGION")):
        config["region"] = "us-east-1"
    return config, _profile(environ, config)


def _profile(environ: Mapping[str, str], config: dict[str, Any]) -> Any:
    """The credentials of a profile, which obstore reads through boto3; None where they come from elsewhere."""
    home = Path(environ.get("HOME", str(Path.home()))) / ".aws"
    files = [
        Path(environ.get("AWS_SHARED_CREDENTIALS_FILE", str(home / "credentials"))),
        Path(environ.get("AWS_CONFIG_FILE", str(home / "config"))),
    ]
    named = environ.get("AWS_PROFILE")
    if any(name in environ for name in _WITHOUT_PROFILE) or not (named or any(file.is_file() for file in files)):
        return None
    try:
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise SettingsError(
            f"the credentials of profile {named or 'default'} need boto3: pip install boto3, or set AWS_ACCESS_KEY_ID"
        ) from None
    session = boto3.Session()
    if session.region_name:
        config["region"] = session.region_name
    return Boto3CredentialProvider(session)
