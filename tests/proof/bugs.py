"""Every planted bug."""

from tests.proof.bugs_core import CORE
from tests.proof.bugs_edges import EDGES
from tests.proof.bugs_queues import QUEUES

BUGS = (*QUEUES, *CORE, *EDGES)
