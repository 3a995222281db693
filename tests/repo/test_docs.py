"""What the documents say, held against the code: rules, events, settings, commands, links."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from reaper.cli.arguments import parse
from reaper.cli.verbs import VERBS
from reaper.core.discovery.holds import Guard
from reaper.core.discovery.policy import REAPING, Rule
from reaper.core.errors import Exit
from reaper.settings.load import load
from reaper.settings.reference import setting_specs
from reaper.telemetry import events

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*DOCS.rglob("*.md"), *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "AGENTS", "SECURITY"))]
)
NEW = [DOCS / "discovery.md", DOCS / "recipes.md", ROOT / "README.md"]


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text(path), flags=re.S | re.M)


def rows(path: Path, name: str) -> dict[str, str]:
    """Return the rows of a marked table: the code in the first column, and the rest."""
    (found,) = re.findall(rf"<!-- {name}:[^\n]*-->\n(.*?)<!-- /{name} -->", text(path), flags=re.S)
    return dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", found, flags=re.M))


def test_the_table_of_rules_has_each_rule_and_what_it_does() -> None:
    said = {rule: row.split(" | ")[0] for rule, row in rows(DOCS / "discovery.md", "rules").items()}
    assert said == {rule.value: "stopped" if rule in REAPING else "kept" for rule in Rule}


def test_the_table_of_guards_has_each_guard() -> None:
    assert set(rows(DOCS / "discovery.md", "guards")) == {f"guard.{guard.value}" for guard in Guard}


def test_the_events_named_exist_and_those_of_discovery_and_the_queue_are_there() -> None:
    known = {value for name, value in vars(events).items() if name.isupper()}
    named = set(rows(DOCS / "monitoring.md", "events"))
    assert named <= known
    assert {event for event in known if event.split(".")[0] in ("sweep", "account", "queue", "api")} <= named


@pytest.mark.parametrize("number", range(len(blocks(DOCS / "discovery.md", "toml"))))
def test_a_snippet_of_configuration_loads(number: int, tmp_path: Path) -> None:
    snippet = blocks(DOCS / "discovery.md", "toml")[number]
    path = tmp_path / "reaper.toml"
    path.write_text(snippet)
    result = load(path, {}, {"HOME": "/h"})
    assert result.warnings == ()
    for section, table in tomllib.loads(snippet).items():
        for name in table:
            assert "reaper.toml" in result.origins[f"{section}.{name}"]


def test_there_are_snippets() -> None:
    assert len(blocks(DOCS / "discovery.md", "toml")) >= 4


@pytest.mark.parametrize("page", NEW, ids=lambda path: path.name)
def test_the_commands_shown_exist(page: Path) -> None:
    shown = [line[2:].split("  #")[0] for block in blocks(page, "console") for line in block.splitlines()]
    said = re.findall(r"`(reaper [a-z][^`]*)`", text(page))
    commands = [one for one in (*shown, *said) if one.startswith("reaper ")]
    assert commands
    for command in commands:
        words = shlex.split(re.sub(r"[<|&].*", "", command))[1:]
        if words[0] in VERBS and not {"COMMAND", "…"} & set(words):
            whole = ["HOLD" if words == ["approve"] or words == ["discard"] else ""]
            parse_or_fail([*words, *filter(None, whole)], command)


def parse_or_fail(words: list[str], command: str) -> None:
    needs = {"show": ["ID"], "postpone": ["ID", "--after", "1"], "cancel": ["ID", "--reason", "x"], "dead": ["list"]}
    needs |= {"pause": ["--reason", "x"], "config": ["show"], "queue": ["init"]}
    verb = words[0]
    try:
        parse(words if len(words) > 1 else [verb, *needs.get(verb, [])])
    except SystemExit as stop:
        pytest.fail(f"{command}: exits with {stop.code}")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text(page)):
        assert (page.parent / target).exists(), target


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text(path), flags=re.S | re.M), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_into_a_page_lead_to_a_heading(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text(page)):
        assert anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"


def test_the_page_of_screens_shows_each_and_each_is_there_at_both_widths() -> None:
    shown = set(blocks(DOCS / "screens.md", "text"))
    narrow = {path.name.removesuffix("-80.txt"): text(path) for path in (DOCS / "screens").glob("*-80.txt")}
    assert shown == set(narrow.values()), "run: make screens"
    assert {path.name for path in (DOCS / "screens").iterdir()} == {f"{n}-{w}.txt" for n in narrow for w in (80, 140)}
    for path in (DOCS / "screens").iterdir():
        assert max(map(len, text(path).splitlines())) <= int(re.findall(r"-(\d+)\.txt", path.name)[0])


def test_the_site_has_each_page_once() -> None:
    listed = re.findall(r"([\w/-]+\.md)$", text(ROOT / "mkdocs.yml"), flags=re.M)
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


def test_a_decision_is_short_and_listed() -> None:
    pages = {page for page in (DOCS / "decisions").glob("*.md") if page.name != "index.md"}
    assert set(re.findall(r"\(([\w-]+\.md)\)", text(DOCS / "decisions" / "index.md"))) == {page.name for page in pages}
    for page in pages:
        assert len(text(page).splitlines()) <= 40, page.name
        headings = re.findall(r"^## (.+)$", text(page), flags=re.M)
        assert headings[:2] == ["Context", "Decision"], page.name
        assert headings[-2:] == ["What was measured", "When to look again"], page.name


@pytest.mark.parametrize("page", NEW, ids=lambda path: path.name)
def test_the_settings_named_exist(page: Path) -> None:
    known = set(setting_specs())
    sections = {key.split(".")[0] for key in known}
    named = set(re.findall(r"`([a-z]+\.[a-z_]+)`", text(page)))
    events_known = {value for name, value in vars(events).items() if name.isupper()}
    assert {one for one in named if one.split(".")[0] in sections} - known - events_known == set()


def test_the_readme_is_short_and_has_every_exit_code() -> None:
    lines = text(ROOT / "README.md").splitlines()
    assert len(lines) <= 150
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", "\n".join(lines), flags=re.M)}
    assert codes == {int(code) for code in Exit}


def candidates(page: Path, name: str) -> list[Path]:
    """Return the places that a name of a file or folder in a page may stand for."""
    rooms = [ROOT, ROOT / "reaper", ROOT / "tests", ROOT / "tests/fault", page.parent]
    inner = [*(ROOT / "reaper").rglob(name.rstrip("/")), *(ROOT / "tools").rglob(name.rstrip("/"))]
    return [*(room / name for room in rooms), *inner]


@pytest.mark.parametrize(
    "page",
    [ROOT / "CONTRIBUTING.md", ROOT / "AGENTS.md", *sorted((DOCS / "decisions").glob("*.md"))],
    ids=lambda path: path.name,
)
def test_the_files_named_exist(page: Path) -> None:
    names = set(re.findall(r"`([a-z0-9_./]+(?:/|\.(?:py|md|toml)))`", text(page)))
    assert {name for name in names if not any(path.exists() for path in candidates(page, name))} == set()
