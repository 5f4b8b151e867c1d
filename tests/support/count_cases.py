#!/usr/bin/env python3
"""Counts test cases: TAP subtests in Meson's testlog.json, tests in pytest's JUnit file.

usage: count_cases.py FILE...         prints "PASSED FAILED SKIPPED", then each reason to skip
       count_cases.py --failures FILE   prints what the failed programs of a testlog.json wrote

A program that ends badly although its cases passed, or that ends before all it had planned were
run, counts what is missing as failed, one at least.
"""

import json
import re
import sys
import xml.etree.ElementTree

TAP_CASE = re.compile(r"^(ok|not ok)\b([^#\n]*)(#\s*(SKIP|TODO)\b.*)?", re.MULTILINE | re.IGNORECASE)
TAP_PLAN = re.compile(r"^1\.\.(\d+)", re.MULTILINE)


def count_program(program):
    """Passed, failed and the reasons of those skipped, of one program that Meson ran."""
    name, output = program["name"], program.get("stdout", "")
    has_passed = program["result"] in ("OK", "EXPECTEDFAIL")
    if program["result"] == "SKIP":
        return 0, 0, [name]
    cases = TAP_CASE.findall(output)
    if not cases:
        return (1, 0, []) if has_passed else (0, 1, [])
    skipped = [f"{name}:{case[1]} {case[2]}" for case in cases if case[3].upper() == "SKIP"]
    failed = sum(case[0] != "ok" and not case[3] for case in cases)
    passed = len(cases) - failed - len(skipped)
    if not has_passed:
        plan = TAP_PLAN.search(output)
        missing = int(plan[1]) - len(cases) if plan else 0
        failed = max(1, failed + max(0, missing))
    return passed, failed, skipped


def count_meson(path):
    with open(path, encoding="utf-8") as lines:
        return [count_program(json.loads(line)) for line in lines]


def count_pytest(path):
    counts = []
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            counts.append((0, 1, []))
        elif skipped is not None:
            counts.append((0, 0, [f"{case.get('name')}: {skipped.get('message')}"]))
        else:
            counts.append((1, 0, []))
    return counts


def print_failures(path):
    with open(path, encoding="utf-8") as lines:
        for program in map(json.loads, lines):
            if program["result"] in ("OK", "EXPECTEDFAIL", "SKIP"):
                continue
            print(f"== {program['name']}: {program['result']}, status {program.get('returncode')}")
            print(re.sub(r"^ok .*\n", "", program.get("stdout", ""), flags=re.MULTILINE))
            print(program.get("stderr", ""))


def main():
    if sys.argv[1:2] == ["--failures"]:
        print_failures(sys.argv[2])
        return
    counts = []
    for path in sys.argv[1:]:
        counts += count_meson(path) if path.endswith(".json") else count_pytest(path)
    reasons = [reason for _, _, skipped in counts for reason in skipped]
    print(sum(count[0] for count in counts), sum(count[1] for count in counts), len(reasons))
    print("\n".join(reasons))


main()
