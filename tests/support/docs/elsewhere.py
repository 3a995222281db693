"""The commands of README.md and docs/ that no test of the pages runs, with the reason and what is tested instead."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.docs.blocks import Block, Step


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Blocks or commands of a page that cannot run there, by their first words."""

    page: str
    begin: str
    why: str
    """Why no test of the pages runs them."""
    covered_by: str = ""
    """Test that comes nearest to it, from tests/ on."""
    instead: str = ""
    """What that test does, as it does not run them; without it, it runs them as they stand."""
    whole: bool = False
    """Whether it means the whole block that begins so, or each command."""


INSTALLS = "installs from the package index"
SERVICE = "sends to a service of others"
CLUSTER = "needs a cluster"
AS_THE_GUIDE = "repo/test_docs.py::test_the_readme_runs_on_kubernetes_as_the_guide_does"
ENGINE = "needs a container engine"
KUSTOMIZE = "is for kustomize"
PROMETHEUS = "is for Prometheus"
LONG = "takes minutes"

DEMO = "e2e/test_demo.py::test_demo_stops_everything_and_needs_no_account"
GUIDE = "deploy/test_kubernetes_guide.py"
IMAGE = "deploy/test_image.py"
COMPARED = "e2e/test_compared.py::test_the_page_says_what_came_of_it"
COMPOSE = "deploy/test_compose.py"
INSTALL_PAGE = "deploy/test_install_page.py::test_every_way_to_install_works_as_the_page_says"
INSTALL_COMMANDS = ("make", "export", "uvx", "pipx", "uv ", "python3", "venv/", "small/")
PUBLISHES = "needs GitHub and a published release"
MESSAGE = "integration/test_receivers.py::test_a_message_arrives"
MONITORING = "deploy/test_dashboard.py"
SIMULATION = "simulation/test_simulation.py::test_the_command_reports_and_names_what_there_is"
WHEEL = "deploy/test_wheel.py"
FROM_THE_WHEEL = "installs the wheel of this tree into an empty environment"
TO_A_RECEIVER = "sends to a receiver of its own"

ELSEWHERE = [
    Elsewhere("README.md", "make demo", INSTALLS, DEMO, "runs `reaper demo`"),
    Elsewhere(
        "docs/index.md",
        "pip install",
        INSTALLS,
        f"{WHEEL}::test_an_empty_environment_runs_what_is_installed",
        FROM_THE_WHEEL,
    ),
    Elsewhere("README.md", "kubectl", CLUSTER, AS_THE_GUIDE, "compares them with those of the guide"),
    Elsewhere("README.md", "printf %s", CLUSTER, AS_THE_GUIDE, "compares them with those of the guide"),
    Elsewhere("docs/compared.md", "sed ", "needs an API in trouble", COMPARED, whole=True),
    Elsewhere("docs/compared.md", "xargs ", "needs an API in trouble", COMPARED, whole=True),
    Elsewhere("docs/compared.md", "reaper once", "needs an API in trouble", COMPARED),
    *(Elsewhere("docs/install.md", begin, INSTALLS, INSTALL_PAGE) for begin in INSTALL_COMMANDS),
    Elsewhere(
        "docs/release.md",
        "make constraints",
        INSTALLS,
        f"{WHEEL}::test_the_constraints_are_the_lock_file_and_the_release",
        "makes the file and compares it",
    ),
    Elsewhere(
        "docs/release.md",
        ".venv/bin/python -m tools.release",
        "names the next release",
        "repo/test_release.py::test_the_notes_are_the_section_and_their_links_lead_to_the_tag",
        "runs it for another one",
    ),
    Elsewhere("docs/release.md", "git tag", PUBLISHES),
    Elsewhere("docs/release.md", "git push", PUBLISHES),
    Elsewhere("docs/release.md", "gh attestation", PUBLISHES),
    *(
        Elsewhere(
            "docs/container.md", begin, "is for compose", f"{COMPOSE}::test_the_page_makes_the_secrets", whole=True
        )
        for begin in ("$ install -d -m 0700 secrets", "$ printf 'requirepass", "$ head -c 24")
    ),
    Elsewhere("docs/container.md", "export COMPOSE", ENGINE),
    Elsewhere("docs/notifications.md", "pip install", INSTALLS),
    Elsewhere("docs/notifications.md", "reaper notify test", SERVICE, MESSAGE, TO_A_RECEIVER),
    Elsewhere("docs/commands.md", "reaper notify test", SERVICE, MESSAGE, TO_A_RECEIVER),
    Elsewhere("docs/queues-postgres.md", "pip install", INSTALLS),
    Elsewhere("docs/queues-redis.md", "pip install", INSTALLS),
    Elsewhere(
        "docs/release.md",
        "make dist",
        INSTALLS,
        f"{WHEEL}::test_the_source_archive_builds_the_same_wheel",
        "builds both and compares them",
    ),
    Elsewhere(
        "docs/release.md",
        "make sbom",
        INSTALLS,
        f"{WHEEL}::test_the_bill_of_materials_is_the_lock_file",
        "makes the bill and compares it",
    ),
    Elsewhere("docs/simulation.md", "make simulate", LONG, SIMULATION, "runs the same program for a few seeds"),
    Elsewhere("docs/simulation.md", ".venv/bin/python", LONG, SIMULATION, "runs the same program for a few seeds"),
    Elsewhere("docs/commands.md", "reaper demo", "takes half a minute", DEMO),
    Elsewhere(
        "docs/console.md",
        "$ (umask 077; read",
        "asks for a token, and counts 47 dead letters",
        "integration/test_acts_access.py::test_the_docs_keep_the_token_out_of_the_list_of_processes",
        whole=True,
    ),
    Elsewhere("docs/monitoring.md", "ssh", "needs a second machine"),
    Elsewhere("docs/monitoring.md", "kubectl", CLUSTER),
    Elsewhere(
        "docs/monitoring.md", "scrape_configs", PROMETHEUS, f"{MONITORING}::test_the_docs_scrape_configuration_is_sound"
    ),
    Elsewhere(
        "docs/monitoring.md", "rule_files", PROMETHEUS, f"{MONITORING}::test_the_docs_scrape_configuration_is_sound"
    ),
    Elsewhere(
        "docs/monitoring.md", "components", KUSTOMIZE, f"{MONITORING}::test_the_docs_tell_how_to_name_and_patch_it"
    ),
    Elsewhere("docs/monitoring.md", "patches", KUSTOMIZE, f"{MONITORING}::test_the_docs_tell_how_to_name_and_patch_it"),
    Elsewhere(
        "docs/kubernetes.md",
        "# ../my-reaper",
        KUSTOMIZE,
        f"{GUIDE}::test_the_overlay_takes_the_monitoring_that_its_scaling_needs",
    ),
    Elsewhere(
        "docs/kubernetes.md",
        "# without a checkout",
        KUSTOMIZE,
        f"{GUIDE}::test_a_tree_of_your_own_fetches_the_overlay_by_git",
    ),
    Elsewhere("docs/kubernetes.md", "# without KEDA", KUSTOMIZE, f"{GUIDE}::test_the_overlay_without_keda"),
    Elsewhere(
        "docs/kubernetes.md",
        "apiVersion",
        KUSTOMIZE,
        f"{GUIDE}::test_a_tree_of_your_own_renames_the_image_and_replaces_the_settings",
    ),
    Elsewhere(
        "docs/container.md",
        "docker build",
        ENGINE,
        f"{IMAGE}::test_the_image_says_how_to_run_it",
        "builds it by buildah, from the same file with the same arguments and secrets",
    ),
    Elsewhere(
        "docs/container.md", "docker run … -e", "leaves out what stands above, and publishes a port by an engine"
    ),
    Elsewhere(
        "docs/container.md",
        "docker compose",
        ENGINE,
        f"{COMPOSE}::test_each_profile_has_reaper_its_engine_and_what_watches_them",
        "has Compose parse the file, and starts no container",
    ),
    Elsewhere(
        "docs/container.md",
        "docker",
        ENGINE,
        f"{IMAGE}::test_the_commands_of_the_page_run",
        "runs, in this order, what it starts, in the built image, with the same user, variables and mounts",
    ),
    Elsewhere("docs/container.md", "services:", ENGINE, f"{COMPOSE}::test_compose_reads_the_example_of_the_page"),
    Elsewhere("docs/container.md", "sudo rm", "follows commands that need a container engine"),
]


def entries(block: Block, step: Step) -> list[Elsewhere]:
    """Return the entries that say why this command is not run."""
    own = [entry for entry in ELSEWHERE if entry.page == block.page]
    return [entry for entry in own if (block.text if entry.whole else step.command).startswith(entry.begin)]
