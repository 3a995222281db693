"""Completes the bill of materials that uv writes: `uv export --format cyclonedx1.5 … | python -m tools.sbom VERSION`.

uv leaves out licenses and the version of a project that takes it from its source, and puts a time and a random number
into every run. The number is made from the content, so the same lock file gives the same bill.
"""

from __future__ import annotations

import json
import sys
import uuid

from tools.licenses import license_of


def licenses(expression: str) -> list[dict[str, object]]:
    """Return the list that CycloneDX wants: the ID of one license, or an expression of several."""
    return [{"expression": expression} if " " in expression else {"license": {"id": expression}}]


bill = json.load(sys.stdin)
del bill["serialNumber"], bill["metadata"]["timestamp"]
subject = bill["metadata"]["component"]
subject |= {"type": "application", "version": sys.argv[1], "purl": f"pkg:pypi/{subject['name']}@{sys.argv[1]}"}
subject["licenses"] = licenses("Apache-2.0")
for part in bill["components"]:
    part["licenses"] = licenses(license_of(part["name"]))
content = json.dumps(bill, sort_keys=True)
bill["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"
json.dump(bill, sys.stdout, indent=2)
sys.stdout.write("\n")
