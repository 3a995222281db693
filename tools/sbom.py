"""Completes the bill of materials that uv writes: `uv export --format cyclonedx1.5 … | python tools/sbom.py VERSION`.

uv leaves out the version of a project that takes it from its source, and puts a time and a random number into every
run. The number is made from the content, so the same lock file gives the same bill.
"""

from __future__ import annotations

import json
import sys
import uuid

bill = json.load(sys.stdin)
del bill["serialNumber"], bill["metadata"]["timestamp"]
subject = bill["metadata"]["component"]
subject |= {"type": "application", "version": sys.argv[1], "purl": f"pkg:pypi/{subject['name']}@{sys.argv[1]}"}
content = json.dumps(bill, sort_keys=True)
bill["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"
json.dump(bill, sys.stdout, indent=2)
sys.stdout.write("\n")
