"""Every planted bug."""

from tools.proof.bugs_core import CORE
from tools.proof.bugs_edges import EDGES
from tools.proof.bugs_queues import QUEUES

BUGS = (*QUEUES, *CORE, *EDGES)
