"""What the documents say, held against the code: rules, settings, commands, links."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import reaper
from reaper.cli.arguments import parse
from reaper.cli.parser import CommandLineError
from reaper.cli.verbs import VERBS
from reaper.core.discovery.holds import Guard
from reaper.core.discovery.policy import REAPING, Rule
from reaper.core.errors import Exit
from reaper.core.ids import NO_VALUES, REMEDIES, check_id
from reaper.intake.line_grammar import DUE_KEYS, ID_KEYS, OTHER_KEYS
from reaper.settings.reference import setting_specs
from reaper.telemetry import events
from tests.support.docs.blocks import blocks

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [*DOCS.rglob("*.md"), *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "AGENTS", "SECURITY"))]
)
NEW = [DOCS / "discovery.md", DOCS / "recipes.md", ROOT / "README.md"]


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def rows(path: Path, name: str) -> dict[str, str]:
    """Return the rows of a marked table: the code in the first column, and the rest."""
    (found,) = re.findall(rf"<!-- {name}:[^\n]*-->\n(.*?)<!-- /{name} -->", text(path), flags=re.S)
    return dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", found, flags=re.M))


def test_the_table_of_rules_has_each_rule_and_what_it_does() -> None:
    said = {rule: row.split(" | ")[0] for rule, row in rows(DOCS / "discovery.md", "rules").items()}
    assert said == {rule.value: "stopped" if rule in REAPING else "kept" for rule in Rule}


def test_the_table_of_refusals_says_what_the_code_says() -> None:
    table = rows(DOCS / "input.md", "remedies")
    for pasted, what_to_do in table.items():
        with pytest.raises(ValueError, match=re.escape(what_to_do)):
            check_id(pasted)
    unmentioned = {remedy for _, remedy in REMEDIES} - set(table.values())
    assert all("as with: cut" in remedy for remedy in unmentioned), "the same for other separators"


def test_the_page_of_input_names_the_words_that_are_no_ids() -> None:
    page = text(DOCS / "input.md")
    assert f"`{' '.join(NO_VALUES)}`" in page
    assert all(f"`{key}`" in page for key in (*ID_KEYS, *DUE_KEYS, *OTHER_KEYS))


def test_the_table_of_guards_has_each_guard() -> None:
    assert set(rows(DOCS / "discovery.md", "guards")) == {f"guard.{guard.value}" for guard in Guard}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_commands_named_exist(page: Path) -> None:
    """Those in a sentence: blocks of commands are run by tests/e2e/test_documented_commands.py."""
    for command in re.findall(r"`(reaper [a-z][^`]*)`", text(page)):
        words = shlex.split(re.sub(r"[<>|&].*", "", command))[1:]
        if words[0] in VERBS and "<TAB>" not in command and not {"COMMAND", "VERB", "…"} & set(words):
            assert not fault(words), command


def fault(words: list[str]) -> str:
    """Return what is wrong with a command line; in a sentence it may lack what the command needs."""
    try:
        parse(words)
    except CommandLineError as error:
        return "" if str(error).endswith((" missing", " required")) else str(error)
    return ""


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


def test_the_page_of_screens_shows_each_and_each_is_there_at_every_width() -> None:
    shown = {block.text for block in blocks("docs/screens.md")}
    narrow = {path.name.removesuffix("-80.txt"): text(path) for path in (DOCS / "screens").glob("*-80.txt")}
    assert shown == set(narrow.values()), "run: make screens"
    assert {path.name for path in (DOCS / "screens").iterdir()} == {
        f"{n}-{w}.txt" for n in narrow for w in (40, 80, 140)
    }
    for path in (DOCS / "screens").iterdir():
        assert max(map(len, text(path).splitlines())) <= int(re.findall(r"-(\d+)\.txt", path.name)[0])
        assert "/tmp/" not in text(path), "a path of the machine that captured it"


def test_the_page_of_the_library_names_each_method_and_argument() -> None:
    page = text(DOCS / "library.md")
    for name in (name for name in vars(reaper.Reaper) if not name.startswith("_")):
        assert f"`{name}(" in page
    for argument in reaper.Options.__annotations__:
        assert f"`{argument}`" in page


def test_the_page_of_pytest_names_each_option() -> None:
    page = text(DOCS / "pytest.md")
    for option in ("--reap-ledger", "--no-reap", "reap_ledger", "reap_for"):
        assert f"`{option}" in page


INSTALLS = re.compile(r"\b(pip|pipx|tool) install .*(archal-reaper|constraints\.txt)|\buvx --from")
UNRELEASED = re.compile(r"no\s+release\s+is\s+published\s+yet|from the first release on", re.IGNORECASE)
FOR_MAINTAINERS = {"release.md", "commands-run.md"}


def test_a_page_that_installs_says_before_that_nothing_is_published_yet() -> None:
    if not UNRELEASED.search(text(DOCS / "install.md")):  # docs/release.md: the sentence goes with the first release
        return
    late = {}
    for page in PAGES:
        said, installed = UNRELEASED.search(text(page)), INSTALLS.search(text(page))
        if installed is not None and page.name not in FOR_MAINTAINERS:
            late[page.name] = said is None or said.start() > installed.start()
    assert {"README.md", "index.md", "install.md", "queues.md", "systemd.md"} <= late.keys()
    assert [name for name, is_late in late.items() if is_late] == []


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


def test_the_readme_runs_on_kubernetes_as_the_guide_does() -> None:
    (commands,) = [one for one in blocks("README.md") if "kubectl" in one.text]
    guide = {step.command for one in blocks("docs/kubernetes.md") for step in one.steps}
    assert {step.command for step in commands.steps} <= guide


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
