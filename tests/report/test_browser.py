"""What Chromium makes of the page: it fits a desk and a phone, and prints whole."""

import re
import shutil
import subprocess
from importlib.resources import files

import pytest

from privsynth.report.render import render_html

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

# The page forbids scripts; the copy that is measured allows this one. A frame can be narrower
# than the narrowest window of Chromium.
MEASURE = """<script>
parent.postMessage("wide " + document.documentElement.scrollWidth + " of " + innerWidth, "*");
</script></body>"""
FRAME = """<script>addEventListener("message", event => { document.title = event.data; });</script>
<iframe src="measured.html" width="WIDTH" height="2000" frameborder="0"></iframe>"""


@pytest.fixture(scope="module")
def page(report, tmp_path_factory):
    place = tmp_path_factory.mktemp("page") / "report.html"
    place.write_text(render_html(report), encoding="utf-8")
    text = re.sub(r"<meta http-equiv.*?>", "", render_html(report)).replace("</body>", MEASURE)
    place.with_name("measured.html").write_text(text, encoding="utf-8")
    return place


def chromium(*options):
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    return subprocess.run([*command, *options], capture_output=True, text=True, timeout=120).stdout


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_its_window(page, width):
    frame = page.with_name(f"frame-{width}.html")
    frame.write_text(FRAME.replace("WIDTH", str(width)))
    found = chromium("--virtual-time-budget=5000", "--dump-dom", frame.as_uri())
    wide, window = map(int, re.search(r"wide (\d+) of (\d+)", found).groups())
    assert window == width
    assert wide <= window


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_can_be_pictured(page, width):
    picture = page.with_name(f"report-{width}.png")
    chromium(f"--window-size={width},4000", f"--screenshot={picture}", page.as_uri())
    assert picture.stat().st_size > 50_000


def test_print_shows_what_is_folded_on_screen(page):
    text = shutil.which("pdftotext")
    if text is None:
        pytest.skip("pdftotext is not installed")
    document = page.with_suffix(".pdf")
    chromium("--no-pdf-header-footer", f"--print-to-pdf={document}", page.as_uri())
    words = subprocess.run([text, str(document), "-"], capture_output=True, text=True).stdout
    assert "Members missed, at least" in words  # a table that is folded on screen
    assert "Skip to the report" not in words


def test_a_very_long_column_name_breaks_in_its_cell(tmp_path):
    """Else the name alone fills the table's window, and every other cell is scrolled away."""
    style = files("privsynth.report").joinpath("templates/style.css").read_text("utf-8")
    row = f"<table><tbody><tr><th>{'x' * 150}</th><td>integer</td></tr></tbody></table>"
    page = tmp_path / "long.html"
    page.write_text(
        f"<style>{style}</style><div class='scroll wide' style='width:900px'>{row}</div>"
        "<script>document.title = 'wide ' + document.querySelector('table').offsetWidth</script>"
    )
    found = chromium("--virtual-time-budget=1000", "--dump-dom", page.as_uri())
    assert int(re.search(r"<title>wide (\d+)", found).group(1)) <= 900
