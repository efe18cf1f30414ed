"""What axe-core finds in a view: WCAG 2.2 A and AA and its best practices, in light and in dark."""
import pathlib

import axe_playwright_python

AXE = (pathlib.Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def audit(desk, view, part=None):
    """All of the page, or the part of it that is another now."""
    found = []
    desk.page.evaluate(f"() => {{ if (!window.axe) {{ {AXE} }} }}")
    for scheme in ("dark", "light"):
        desk.wear(scheme)
        # All but the colours is the same in both.
        run = {"type": "rule", "values": ["color-contrast"]} if scheme == "dark" else {"type": "tag", "values": TAGS}
        result = desk.page.evaluate("([part, run]) => axe.run(part ?? document, { runOnly: run, resultTypes: ['violations'] })", [part, run])
        for rule in result["violations"]:
            for node in rule["nodes"][:6]:
                found.append(f"{view}, {scheme}: {rule['id']} ({rule['impact']}) at {node['target']}: "
                             f"{' '.join(each['message'] for each in node['any'] + node['all'] + node['none'])}")
        assert scheme == "dark" or len(result["passes"]) > (5 if part else 15), "axe looked at nothing"
    # axe looks at ids that names are made of alone; pictures have theirs from them, too.
    found += desk.page.evaluate("""() => {
      const ids = [...document.querySelectorAll('[id]')].map((each) => each.id);
      return ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `double id: ${id}`);
    }""")
    assert not found, "\n".join(found)
