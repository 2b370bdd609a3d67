"""The table of real packages is the script's, and denies none of them."""

import re

from tools import local_table


def test_the_document_is_the_script_s_and_no_real_package_is_denied() -> None:
    text = local_table.DOCUMENT.read_text()
    assert text.startswith(local_table.INTRO), "run `python -m tools.local_table`"
    for title, listed in (("npm", local_table.NPM), ("PyPI", local_table.PYPI)):
        section = text.partition(f"## {title}: ")[2].partition("\n## ")[0]
        rows = re.findall(r"^\| (\S+) (\S+) \|.*\| (\w+) \|$", section, re.MULTILINE)
        assert sorted(f"{name}@{version}" for name, version, _ in rows) == sorted(listed.split())
        assert len(rows) >= 20
        assert {verdict for _, _, verdict in rows} <= {"passed", "warned"}
