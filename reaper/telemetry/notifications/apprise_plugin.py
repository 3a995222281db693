"""Opens the plugin of one URL of Apprise without loading the other 150, which would take 1.5 s of CPU more.

`Apprise.instantiate` loads every plugin to know which one takes a scheme. The files say it as well: each class declares
`protocol` and `secure_protocol`. What is not found so, such as a service's own https address, goes that long way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apprise.plugins.base import NotifyBase

_DECLARED = re.compile(r"^    (?:secure_)?protocol\b[^=\n]*=\s*(\([^)]*\)|[^\n]*)", re.MULTILINE)


def open_plugin(url: str) -> NotifyBase | None:
    """Return the plugin of a URL; None when Apprise takes it not. Raises ImportError where Apprise is missing."""
    import apprise

    asset = apprise.AppriseAsset(app_id="reaper", app_desc="reaper")
    scheme = url.partition(":")[0].lower()
    for plugin in _plugins_of(scheme, Path(apprise.__file__).parent / "plugins"):
        try:
            if parts := plugin.parse_url(url.replace("/#", "/%23")):  # as Apprise itself does
                opened: NotifyBase = plugin(**parts, asset=asset, tag=set())
                return opened
        except Exception:  # noqa: BLE001, S112  # whatever is wrong with it, the long way says the same, or knows better
            continue
    return apprise.Apprise.instantiate(url, asset=asset)


def _plugins_of(scheme: str, folder: Path) -> Iterator[Any]:
    """Yield the classes that declare a scheme."""
    for path in sorted(folder.rglob("*.py")):
        declared = _DECLARED.findall(path.read_text("utf-8", "replace"))
        if any(f'"{scheme}"' in each or f"'{scheme}'" in each for each in declared):
            name = path.relative_to(folder).parts[0].removesuffix(".py")
            yield from _classes(import_module(f"apprise.plugins.{name}"), scheme)


def _classes(module: ModuleType, scheme: str) -> Iterator[Any]:
    for name in dir(module):
        found = getattr(module, name)
        if name.startswith("Notify") and hasattr(found, "app_id") and scheme in found.schemas(found):
            yield found
