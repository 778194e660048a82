# Copyright: (c) 2026, FraiseQL contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put pip into the empty virtual environments that ansible-test makes, without a download.

ansible-test fetches a ``get-pip`` program from a web server of its own, which a closed network cannot reach. It first
looks for that program in its cache, where ``tests/sanity/run.sh`` lays this file. Python brings a pip with it
(``ensurepip``); that pip then installs the versions that ansible-test asked for, from wherever pip is told to look.
"""

from __future__ import annotations

import os
import subprocess
import sys

#: Options of get-pip that pip itself does not know.
ONLY_GET_PIP = {"--no-setuptools", "--no-wheel"}


def main() -> None:
    # GET_PIP would make ansible-test's pip wrapper start this program again.
    environment = {name: value for name, value in os.environ.items() if name != "GET_PIP"}
    arguments = [argument for argument in sys.argv[1:] if argument not in ONLY_GET_PIP]
    subprocess.run([sys.executable, "-m", "ensurepip"], env=environment, stdout=subprocess.DEVNULL, check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", *arguments], env=environment, check=True)


if __name__ == "__main__":
    main()
