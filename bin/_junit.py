# Copyright (c) 2026 The modelops.inference maintainers
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints "PASSED FAILED SKIPPED" of all test cases in the JUnit files named."""

from __future__ import annotations

import os
import sys
from collections import Counter
from xml.etree import ElementTree

if __name__ == "__main__":
    seen: Counter[str] = Counter()
    for path in filter(os.path.exists, sys.argv[1:]):
        for case in ElementTree.parse(path).iter("testcase"):
            outcomes = {child.tag for child in case}
            seen["failed" if outcomes & {"failure", "error"} else "skipped" if "skipped" in outcomes else "passed"] += 1
    print(seen["passed"], seen["failed"], seen["skipped"])
