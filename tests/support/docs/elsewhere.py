"""The commands of README.md and docs/ that cannot run in a test of the pages, each with the test that runs it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.docs.blocks import Block, Step


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Blocks or commands of a page that cannot run here, by their first words."""

    page: str
    begin: str
    why: str
    covered_by: str = ""
    """Test that runs them, or checks them as far as that goes."""
    whole: bool = False
    """Whether it means the whole block that begins so, or each command."""


INSTALLS = "installs from the index"
MESSAGE = "integration/test_notifications.py::test_a_message_arrives"
SERVICE = "sends to a service of others"
AS_ROOT = "needs root and changes the machine"
CLUSTER = "needs a cluster"
AS_THE_GUIDE = "repo/test_docs.py::test_the_readme_runs_on_kubernetes_as_the_guide_does"
ENGINE = "needs a container engine"
WHEEL = "deploy/test_wheel.py::test_an_empty_environment_runs_what_is_installed"
INSTALL_PAGE = "deploy/test_install_page.py::test_every_way_to_install_works_as_the_page_says"
INSTALL_COMMANDS = ("make", "export", "uvx", "pipx", "uv ", "python3", "venv/", "small/")
COMPOSE = "deploy/test_compose.py"
KUSTOMIZE = "is for kustomize"
PROMETHEUS = "is for Prometheus"
LONG = "takes minutes"
PUBLISHES = "needs GitHub and a published release"
SIMULATION = "simulation/test_simulation.py::test_the_command_reports_and_names_what_there_is"
DIST = "deploy/test_wheel.py"
SPOOLS = "integration/test_spool_trouble.py"
COMPARED = "e2e/test_compared.py::test_the_page_says_what_came_of_it"
DEMO = "e2e/test_demo.py::test_demo_stops_everything_and_needs_no_account"
SYSTEMD = "deploy/test_systemd_live.py"
MONITORING = "deploy/test_dashboard.py"
GUIDE = "deploy/test_kubernetes_guide.py"
ON_SYSTEMD = [
    ("umask 022", "test_the_docs_make_a_working_service"),
    ("(umask 077 && cat > /etc/reaper/token)\n", "test_the_docs_make_a_working_service"),
    ("systemd-run", "test_the_docs_make_a_working_service"),
    ("systemctl enable --now reaper\n", "test_the_docs_make_a_working_service"),
    ("systemctl status", "test_the_docs_make_a_working_service"),
    ("(umask 077 && cat > /etc/reaper/token.new) && mv", "test_a_new_token_is_taken_up_by_a_restart"),
    ("chown root:reaper /etc/reaper/token", "test_a_token_file_is_taken_up_without_a_restart"),
    ("(umask 077 && cat > /etc/reaper/token.new) && chown", "test_a_token_file_is_taken_up_without_a_restart"),
    ("touch /etc/reaper/ids.txt", "test_the_timer_stops_what_the_list_names"),
    ("chown root:reaper /etc/reaper/reaper.toml", "test_the_service_and_its_operators_share_a_queue"),
    ("sudo -u reaper reaper queue init", "test_the_service_and_its_operators_share_a_queue"),
    ("systemctl stop reaper", "test_an_upgrade_keeps_the_ledger"),
    ("sudo -u reaper reaper status", "test_what_is_removed_is_gone_and_can_be_installed_again"),
    ("rm -rf /var/lib/reaper", "test_what_is_removed_is_gone_and_can_be_installed_again"),
]

ELSEWHERE = [
    Elsewhere("README.md", "make demo", INSTALLS, DEMO),
    Elsewhere("README.md", "kubectl", CLUSTER, AS_THE_GUIDE),
    Elsewhere("README.md", "printf %s", CLUSTER, AS_THE_GUIDE),
    Elsewhere("docs/compared.md", "sed ", "needs an API in trouble", COMPARED, whole=True),
    Elsewhere("docs/compared.md", "xargs ", "needs an API in trouble", COMPARED, whole=True),
    Elsewhere("docs/compared.md", "reaper once", "needs an API in trouble", COMPARED),
    Elsewhere("docs/index.md", "pip install", INSTALLS, WHEEL),
    *(Elsewhere("docs/install.md", begin, INSTALLS, INSTALL_PAGE) for begin in INSTALL_COMMANDS),
    Elsewhere("docs/notifications.md", "pip install", INSTALLS, MESSAGE),
    Elsewhere("docs/notifications.md", "reaper notify test", SERVICE, MESSAGE),
    Elsewhere("docs/commands.md", "reaper notify test", SERVICE, MESSAGE),
    Elsewhere("docs/queues-postgres.md", "pip install", INSTALLS, WHEEL),
    Elsewhere("docs/queues-redis.md", "pip install", INSTALLS, WHEEL),
    Elsewhere("docs/release.md", "make dist", INSTALLS, f"{DIST}::test_the_source_archive_builds_the_same_wheel"),
    Elsewhere(
        "docs/release.md",
        "make constraints",
        INSTALLS,
        f"{DIST}::test_the_constraints_are_the_lock_file_and_the_release",
    ),
    Elsewhere("docs/release.md", "make sbom", INSTALLS, f"{DIST}::test_the_bill_of_materials_is_the_lock_file"),
    Elsewhere(
        "docs/release.md",
        ".venv/bin/python -m tools.release",
        "names the next release",
        "repo/test_release.py::test_the_notes_are_the_section_and_their_links_lead_to_the_tag",
    ),
    Elsewhere("docs/release.md", "git tag", PUBLISHES),
    Elsewhere("docs/release.md", "git push", PUBLISHES),
    Elsewhere("docs/release.md", "gh attestation", PUBLISHES),
    Elsewhere("docs/simulation.md", "make simulate", LONG, SIMULATION),
    Elsewhere("docs/simulation.md", ".venv/bin/python", LONG, SIMULATION),
    Elsewhere("docs/commands.md", "reaper demo", "is run in docs/index.md", DEMO),
    Elsewhere(
        "docs/files.md", "groupadd", AS_ROOT, f"{SPOOLS}::test_programs_of_other_users_write_by_their_group", whole=True
    ),
    Elsewhere(
        "docs/cron.md", "python3 -m venv", AS_ROOT, f"{SYSTEMD}::test_the_docs_make_a_working_service", whole=True
    ),
    Elsewhere("docs/cron.md", "useradd", AS_ROOT, f"{SYSTEMD}::test_the_crontab_runs_and_says_nothing", whole=True),
    Elsewhere("docs/cron.md", "touch /etc", AS_ROOT, f"{SYSTEMD}::test_the_crontab_runs_and_says_nothing", whole=True),
    Elsewhere("docs/cron.md", "MAILTO", "needs cron", f"{SYSTEMD}::test_the_crontab_runs_and_says_nothing"),
    Elsewhere("docs/console.md", "$ (umask 077; echo", AS_ROOT, whole=True),
    Elsewhere(
        "docs/console.md",
        "$ (umask 077; read",
        "asks for a token, and counts 47 dead letters",
        "integration/test_acts.py::test_the_docs_keep_the_token_out_of_the_list_of_processes",
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
    *(
        Elsewhere("docs/kubernetes.md", begin, CLUSTER, f"{GUIDE}::test_the_guide_runs_in_its_order")
        for begin in ("kubectl", "printf %s ", "mkdir", "cp")
    ),
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
        "docker",
        ENGINE,
        "deploy/test_image.py::test_the_daemon_is_probed_fed_and_given_a_new_token",
    ),
    Elsewhere("docs/container.md", "services:", ENGINE, f"{COMPOSE}::test_compose_reads_the_example_of_the_page"),
    *(
        Elsewhere("docs/container.md", begin, AS_ROOT, f"{COMPOSE}::test_the_page_makes_the_secrets", whole=True)
        for begin in ("$ install -d -m 0700 secrets", "$ printf 'requirepass", "$ head -c 24")
    ),
    Elsewhere("docs/container.md", "export COMPOSE", ENGINE),
    Elsewhere("docs/container.md", "sudo", AS_ROOT),
    *(Elsewhere("docs/systemd.md", begin, AS_ROOT, f"{SYSTEMD}::{test}", whole=True) for begin, test in ON_SYSTEMD),
]


def entries(block: Block, step: Step) -> list[Elsewhere]:
    """Return the entries that say why this command is not run."""
    own = [entry for entry in ELSEWHERE if entry.page == block.page]
    return [entry for entry in own if (block.text if entry.whole else step.command).startswith(entry.begin)]
