"""`queue.url`: what it may say, and what is said when it may not."""

import pytest

from reaper.core.errors import ConfigError
from reaper.queues.open import ledger_path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///var/lib/reaper/ledger.db", "/var/lib/reaper/ledger.db"),
        ("sqlite:////var/lib/reaper/ledger.db", "/var/lib/reaper/ledger.db"),
        ("sqlite:///srv/my%20queue.db", "/srv/my queue.db"),
    ],
)
def test_a_ledger_is_named_by_its_path(url: str, path: str) -> None:
    assert ledger_path(url) == path


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgres://u:hunter2@db/reaper", "must begin with"),
        ("mysql://u:hunter2@db", "must begin with"),
        ("/var/lib/ledger.db", "must be a URL"),
        ("sqlite://ledger.db", "absolute path alone"),
        ("sqlite:///dir/", "absolute path alone"),
        ("sqlite:///a.db?mode=hunter2", "absolute path alone"),
        ("sqlite://[hunter2/a.db", "cannot be read"),
        ("hunter2:x", "must begin with"),
    ],
)
def test_another_url_is_refused_without_repeating_it(url: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        ledger_path(url)
    assert "hunter2" not in str(caught.value)
