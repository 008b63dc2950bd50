"""Report what is known of vulnerabilities in the locked packages: `make audit-deps`.

It asks the OSV service through pip-audit. It reports and fails no build: neither a new advisory about somebody else's
package nor a missing network is a fault of the change that is being built. It fails where the lock can't be read.
"""

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).with_name("release.txt")
COMMAND = "-m pip_audit --disable-pip --require-hashes --vulnerability-service osv --progress-spinner off --format json"
# What a traceback of pip-audit ends with where a service does not answer, or answers what is no advisory.
UNREACHED = ("requests.exceptions.", "pip_audit._service.", "ERROR:pip_audit._cli:Could not connect")


def report(lock: Path, *options: str) -> list[str]:
    """What is known of the packages in `lock`, a line a vulnerability, with a line that sums it up at the end.

    Where the service can't be reached, one line says so. Raises RuntimeError where pip-audit fails otherwise.
    """
    done = subprocess.run(  # noqa: S603  (the lock is ours)
        [sys.executable, *COMMAND.split(), "--requirement", str(lock), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout.strip():
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        if not last.startswith(UNREACHED):
            raise RuntimeError(f"pip-audit failed: {done.stderr.strip()}")
        return [f"vulnerabilities are not known: the advisory service can't be reached ({last.split(':')[0]})"]
    packages = json.loads(done.stdout)["dependencies"]
    passed_over = [package["name"] for package in packages if "skip_reason" in package]
    found = [(package, flaw) for package in packages for flaw in package.get("vulns", ())]
    lines = [
        f"{package['name']} {package['version']}: {', '.join([flaw['id'], *sorted(flaw['aliases'])])}; "
        f"fixed in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for package, flaw in found
    ]
    lines += [f"{name}: the service does not know this package" for name in passed_over]
    return [*lines, f"{len(packages) - len(passed_over)} packages looked up, {len(found)} known vulnerabilities"]


if __name__ == "__main__":
    print("\n".join(report(LOCK)))
