"""Every planted bug."""

from tools.proof.bugs_cli import CLI
from tools.proof.bugs_console import CONSOLE
from tools.proof.bugs_core import CORE
from tools.proof.bugs_discovery import DISCOVERY
from tools.proof.bugs_edges import EDGES
from tools.proof.bugs_exec import EXEC
from tools.proof.bugs_network import NETWORK
from tools.proof.bugs_notify import NOTIFY
from tools.proof.bugs_queues import QUEUES
from tools.proof.bugs_sqlite import SQLITE

BUGS = (*QUEUES, *SQLITE, *CORE, *DISCOVERY, *EDGES, *CLI, *EXEC, *NETWORK, *CONSOLE, *NOTIFY)
