"""The page in a real browser that reaches no host: no error, no script, nothing sticks out."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.quality.report.pages import SECTIONS, Reader, page
from tests.quality.report.test_page import HOSTILE, run

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((found for name in _NAMES if (found := shutil.which(name))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine"),
]
DARK = "--blink-settings=preferredColorScheme=0"
_REFUSES_SCRIPT = {"profile": {"default_content_setting_values": {"javascript": 2}}}


def browse(path: Path, *options: str, script: bool = True) -> subprocess.CompletedProcess[str]:
    """Open a file in a browser for which every name leads nowhere."""
    assert BROWSER is not None
    profile = path.parent / f"profile-{script}"
    (profile / "Default").mkdir(parents=True, exist_ok=True)
    if not script:
        (profile / "Default" / "Preferences").write_text(json.dumps(_REFUSES_SCRIPT))
    return subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            f"--user-data-dir={profile}",
            *options,
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with findings, and with names that would break it if they could."""
    place = tmp_path_factory.mktemp("browser")
    path = run(place / "run") / "quality" / "quality.json"
    document = json.loads(path.read_text("utf-8"))
    for station, name in zip(document["stations"], HOSTILE[:2] + HOSTILE[7:10], strict=True):
        station["name"] = name
    path.write_text(json.dumps(document), encoding="utf-8")
    page(path.parents[1], place)
    return place / "report.html"


def test_a_browser_without_script_runs_none(tmp_path: Path) -> None:
    control = tmp_path / "control.html"
    control.write_text("<!doctype html><p id=a></p><script>a.textContent = 2 * 21</script>")
    assert "42" in browse(control, "--dump-dom").stdout
    assert "42" not in browse(control, "--dump-dom", script=False).stdout.partition("<script>")[0]


@pytest.mark.parametrize("script", [True, False])
def test_every_section_is_there_and_nothing_is_complained_of(report: Path, script: bool) -> None:
    done = browse(report, "--dump-dom", script=script)
    seen = Reader(done.stdout)
    assert [one for one in seen.ids if one in SECTIONS] == list(SECTIONS)
    assert all(seen.texts[one].strip() for one in SECTIONS)
    assert "script" not in seen.tags
    assert "CONSOLE" not in done.stderr


@pytest.mark.parametrize("width", [390, 768, 1280])
@pytest.mark.parametrize("opened", [False, True])
def test_the_page_is_as_wide_as_the_screen(report: Path, width: int, opened: bool) -> None:
    """Measured in a frame, because a window has a least width; with everything folded open, too."""
    html = json.dumps(report.read_text("utf-8")).replace("</", "<\\/")
    frame = report.with_name(f"frame-{width}-{opened}.html")
    frame.write_text(
        f'<!doctype html><meta charset="utf-8"><iframe id="f" style="border:0;width:{width}px;'
        'height:900px"></iframe><p id="told"></p><script>const f = document.getElementById("f");'
        "f.onload = () => { const e = f.contentDocument.documentElement;"
        + ("f.contentDocument.querySelectorAll('details').forEach(d => d.open = true);" * opened)
        + 'document.getElementById("told").textContent = "wide " + e.scrollWidth; };'
        f"f.srcdoc = {html};</script>",
        encoding="utf-8",
    )
    done = browse(frame, "--dump-dom", "--window-size=1400,1000")
    found = re.search(r"wide (\d+)", done.stdout)
    assert found is not None
    assert int(found[1]) <= width


@pytest.mark.parametrize(("script", "options"), [(True, ()), (False, ()), (True, (DARK,))])
def test_the_page_can_be_painted(report: Path, script: bool, options: tuple[str, ...]) -> None:
    picture = report.with_name("page.png")
    picture.unlink(missing_ok=True)
    browse(report, f"--screenshot={picture}", "--window-size=1280,3000", *options, script=script)
    assert picture.stat().st_size > 50_000


def test_the_page_can_be_printed(report: Path) -> None:
    printed = report.with_name("page.pdf")
    browse(report, f"--print-to-pdf={printed}")
    assert printed.read_bytes().startswith(b"%PDF")
