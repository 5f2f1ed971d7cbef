"""Breaks a copy of this installation in one way and asks the doctor.

    .venv/bin/python tests/e2e/doctor/plant.py --list
    .venv/bin/python tests/e2e/doctor/plant.py "torch library missing" [--fix]

The copy goes away afterwards, unless ``--keep`` names a folder for it: then it stays there, broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1] / "doctor")]

from copied_installation import CopiedInstallation  # noqa: E402
from real_faults import FAULTS, NotHere  # noqa: E402


def main() -> int:
    """The doctor's exit code; 77 where this machine does not let the fault be planted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=["healthy", *FAULTS], default="healthy", metavar="NAME")
    parser.add_argument("--list", action="store_true", help="which faults there are, and who names them")
    parser.add_argument("--fix", action="store_true", help="let the doctor do what is safe")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="make the copy there, and leave it")
    given = parser.parse_args()
    if given.list:
        for name, fault in FAULTS.items():
            sys.stdout.write(f"{name:<36}{fault.check}{' (--fix mends it)' if fault.fix_ends_it else ''}\n")
        return 0
    if given.keep:
        given.keep.mkdir(parents=True)
        return broken(given.keep, given.name, fix=given.fix)
    with tempfile.TemporaryDirectory(prefix="trident-broken-") as folder:
        return broken(Path(folder), given.name, fix=given.fix)


def broken(folder: Path, name: str, *, fix: bool) -> int:
    """Makes the copy, plants the fault and shows what the doctor says."""
    it = CopiedInstallation.make(folder)
    try:
        if name in FAULTS:
            FAULTS[name].plant(it)
    except NotHere as error:
        sys.stderr.write(f"it cannot be planted here: {error}\n")
        return 77
    examined = it.trident("doctor", *(["--fix"] if fix else []))
    sys.stdout.write(examined.stdout)
    sys.stderr.write(examined.stderr)
    return examined.returncode


if __name__ == "__main__":
    sys.exit(main())
