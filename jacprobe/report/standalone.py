"""A page of Allure's that needs nothing but itself: no analytics, its data there before its program, both packed."""

from __future__ import annotations

import base64
import gzip
import json
import re

from jacprobe.errors import JacprobeError

# Nothing is fetched from anywhere: the browser itself refuses what a page might ask for.
POLICY = "default-src 'unsafe-inline' 'unsafe-eval' data: blob:; form-action 'none'"
_ANALYTICS = re.compile(
    r'\s*<script async src="https://www\.googletagmanager\.com/[^"]*"></script>\s*<script>.*?</script>', re.DOTALL
)
_PROGRAM = re.compile(r'<script\s+src="data:text/javascript;base64,([^"]+)"></script>')
_DATA = re.compile(
    r"<script async>\s*window\.allureReportDataReady = false;.*?</script>\s*<script defer>.*?</script>", re.DOTALL
)
_FILE = re.compile(r'd\(("(?:[^"\\]|\\.)*"),("(?:[^"\\]|\\.)*")\)')
# Effects are the only metrics here.
_HEADING = (b'"title":"Performance metrics"', b'"title":"Effects over runs"')
_ICON = ('<link rel="icon" href="favicon.ico">', '<link rel="icon" href="data:,">')  # a file that is not there
# Allure starts its program before its data and fetches what is not there yet, which fails from file://.
_LOADER = """<script>
(async () => {
  const unpacked = (id) => {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };
  window.allureReportData = JSON.parse(await unpacked("report-data"));
  window.allureReportDataReady = true;
  const program = document.createElement("script");
  program.textContent = await unpacked("report-program");
  document.body.append(program);
})();
</script>"""


def standalone(html: str) -> str:
    """Return a single-file page of Allure's without requests to outside hosts, its data ready before its program.

    Raises
    ------
    JacprobeError
        Where it is no such page.
    """
    program, data = _PROGRAM.search(html), _DATA.search(html)
    if program is None or data is None:
        raise JacprobeError("a page without a program or its data", "a single-file page of the pinned Allure")
    files = {json.loads(name): json.loads(value) for name, value in _FILE.findall(data.group())}
    packed = [
        _packed("report-data", json.dumps(files).encode()),
        _packed("report-program", base64.b64decode(program.group(1)).replace(*_HEADING)),
    ]
    html = html.replace(data.group(), "\n".join([*packed, _LOADER]), 1).replace(program.group(), "", 1)
    html = _ANALYTICS.sub("", html).replace(*_ICON)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    return html.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n    {policy}', 1)


def _packed(name: str, content: bytes) -> str:
    text = base64.b64encode(gzip.compress(content, 9, mtime=0)).decode("ascii")
    return f'<script type="text/plain" id="{name}">{text}</script>'
