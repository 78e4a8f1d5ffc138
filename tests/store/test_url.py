"""URLs of shared stores: what is taken, what is refused, and that no password shows."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from invoke_assistants.errors import SettingsError
from invoke_assistants.store.url import StoreURL


@pytest.mark.parametrize(
    ("text", "masked", "raw", "option"),
    [
        ("redis://h", "redis://h", "redis://h", None),
        ("redis://h:1/2?key=a:b", "redis://h:1/2?key=a:b", "redis://h:1/2", "a:b"),
        (
            "rediss://u:p%40w@h/0?key=k&ssl_cert_reqs=none",
            "rediss://u:***@h/0?key=k&ssl_cert_reqs=none",
            "rediss://u:p%40w@h/0?ssl_cert_reqs=none",
            "k",
        ),
        ("redis://:pw@[::1]:6379", "redis://:***@[::1]:6379", "redis://:pw@[::1]:6379", None),
        ("redis://h?password=pw", "redis://h?password=***", "redis://h?password=pw", None),
        ("postgresql://u@h/d", "postgresql://u@h/d", "postgresql://u@h/d", None),
        (
            "postgresql://u:pw@h1:1,h2:2/d?asst_table=s.t",
            "postgresql://u:***@h1:1,h2:2/d?asst_table=s.t",
            "postgresql://u:pw@h1:1,h2:2/d",
            "s.t",
        ),
        (
            "postgresql:///d?host=/tmp&sslmode=require",
            "postgresql:///d?host=/tmp&sslmode=require",
            "postgresql:///d?host=%2Ftmp&sslmode=require",
            None,
        ),
        (
            "postgresql:///d?password=pw&sslpassword=qq",
            "postgresql:///d?password=***&sslpassword=***",
            "postgresql:///d?password=pw&sslpassword=qq",
            None,
        ),
        ("s3://b", "s3://b", "s3://b", None),
        ("s3://b/", "s3://b/", "s3://b", None),
        ("s3://b/a/c.json", "s3://b/a/c.json", "s3://b", "a/c.json"),
        ("gs://b/k", "gs://b/k", "gs://b", "k"),
        ("az://b/k", "az://b/k", "az://b", "k"),
    ],
)
def test_what_is_taken(text: str, masked: str, raw: str, option: str | None) -> None:
    """The driver gets the URL without the option that is ours; people see it without passwords."""
    url = StoreURL.parse(text, "ASST_STORE")
    assert (url.masked, url.raw, url.option) == (masked, raw, option)
    assert str(url) == masked
    assert "pw" not in repr(url)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://h", "no store is kept at ftp://; known: a path, redis://"),
        ("postgres://h/d", "did you mean 'postgresql'"),
        ("redis://", "not a valid redis:// URL"),
        ("redis://h:port", "not a valid redis:// URL"),
        ("redis://h:99999", "not a valid redis:// URL"),
        ("redis://h o", "not a valid redis:// URL"),
        ("redis://u:secret/half@h", "not a valid redis:// URL; in a password, percent-encode"),
        ("redis://u:1/secret@h", "not a valid redis:// URL"),
        ("redis://u:sec#ret@h", "not a valid redis:// URL"),
        ("redis://u:1?secret@h", "not a valid redis:// URL"),
        ("postgresql://u:secret/half@h/d", "not a valid postgresql:// URL"),
        ("postgresql://u:sec#ret@h/d", "not a valid postgresql:// URL"),
        ("postgresql://u:sec?ret@h/d", "not a valid postgresql:// URL"),
        ("s3://", "not a valid s3:// URL"),
        ("s3://key:secret@b/k", "takes no user, password or options"),
        ("s3://b/k?secret=x", "takes no user, password or options"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    """Anything else is one line that names the setting and shows no half of a password."""
    with pytest.raises(SettingsError) as caught:
        StoreURL.parse(text, "ASST_STORE")
    assert message in str(caught.value)
    assert str(caught.value).startswith("ASST_STORE")
    for half in ("secret", "sec#", "ret@"):
        assert half not in str(caught.value)


def test_a_short_password_is_not_told_by_its_gaps() -> None:
    """Where a short password stands in what a driver says, perhaps by chance, none of that is shown."""
    url = StoreURL.parse("redis://:s@h", "ASST_STORE")
    assert "user" not in url.mask("refused: this user")
    assert url.mask("no route") == "no route"


@settings(deadline=None)
@given(st.text(min_size=6, max_size=12), st.sampled_from(["redis", "rediss", "postgresql"]))
def test_no_password_is_shown(password: str, scheme: str) -> None:
    """However a driver repeats a password, masking takes it out: as it is, percent-encoded, or within the URL."""
    encoded = quote(password, safe="", errors="surrogatepass")
    without = StoreURL.parse(f"{scheme}://user@h/0", "ASST_STORE")
    assume(encoded not in f"{without} {without!r}")  # such as "postgr"
    url = StoreURL.parse(f"{scheme}://user:{encoded}@h/0", "ASST_STORE")
    for shown in (encoded, url.raw, password):
        assert encoded not in url.mask(f"connecting to {shown} failed")
    assert encoded not in f"{url} {url!r}"
