"""Make docs/images/blocked.png: what a blocked pull request shows, rendered from the real output of a real run.

A repository is made whose last change brings examples/axios-replica's attack in; `scangate check` judges it with the
recorded reports of the embedded service, GitHub's own Markdown implementation renders the answer, and a browser takes
the picture. Needs chromium and an emoji font (Debian: chromium, fonts-noto-color-emoji).
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cmarkgfm
from cmarkgfm.cmark import Options

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "blocked.png"
MAX_BYTES = 200_000
WIDTH, HEIGHT = 980, 1400
SCANGATE = [sys.executable, "-m", "scangate"]

STYLE = """
body { margin: 0; padding: 20px; width: 940px; background: #fff; color: #1f2328;
       font: 15px/1.5 "Liberation Sans", Arial, sans-serif; }
.comment { border: 1px solid #d1d9e0; border-radius: 6px; }
.who { padding: 8px 16px; background: #f6f8fa; border-bottom: 1px solid #d1d9e0; border-radius: 6px 6px 0 0;
       color: #59636e; font-size: 14px; }
.who b { color: #1f2328; }
.bot { border: 1px solid #d1d9e0; border-radius: 1em; padding: 0 6px; font-size: 12px; }
.text { padding: 4px 16px 12px; }
h2 { padding-bottom: 6px; border-bottom: 1px solid #d1d9e0; font-size: 22px; margin: 12px 0; }
h3 { font-size: 18px; margin: 20px 0 10px; }
p { margin: 0 0 12px; } ul { margin: 0 0 12px; padding-left: 28px; }
code { font: 12.5px "DejaVu Sans Mono", monospace; background: #eff1f3; border-radius: 6px; padding: 2px 5px;
       overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: 0 0 12px; font-size: 14px; }
th, td { border: 1px solid #d1d9e0; padding: 6px 10px; text-align: left; vertical-align: top; }
a { color: #0969da; text-decoration: none; } a code { color: inherit; }
summary { cursor: pointer; margin-bottom: 8px; }
"""

PAGE = """<!doctype html><meta charset="utf-8"><style>{style}</style>
<div class="comment"><div class="who"><b>github-actions</b> <span class="bot">bot</span> commented</div>
<div class="text">{text}</div></div>
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        page = work / "page.html"
        page.write_text(PAGE.format(style=STYLE, text=_html(_checked(_repository(work / "shop"), work))))
        _photograph(page, work / "picture.png")
        size = (work / "picture.png").stat().st_size
        if size > MAX_BYTES:
            raise SystemExit(f"picture: {size} bytes are more than {MAX_BYTES}")
        PICTURE.parent.mkdir(exist_ok=True)
        shutil.copyfile(work / "picture.png", PICTURE)
    print(f"picture: {PICTURE.relative_to(ROOT)}, {size} bytes")
    return 0


def _repository(folder: Path) -> Path:
    """Two commits: before the attack, and the pull request that brings it in."""
    folder.mkdir()
    after = json.loads((ROOT / "examples" / "axios-replica" / "package-lock.json").read_text())
    before = json.loads(json.dumps(after))
    del before["packages"]["node_modules/plain-crypto-replica"]
    axios = before["packages"]["node_modules/axios-replica"]
    axios["version"] = before["packages"][""]["dependencies"]["axios-replica"] = "1.14.0"
    axios["dependencies"] = {"follow-replica": "^1.15.0"}
    axios["integrity"] = "sha512-" + "A" * 86 + "=="
    _git(folder, "init", "--quiet")
    for content in (before, after):
        (folder / "package-lock.json").write_text(json.dumps(content, indent=2) + "\n")
        _git(folder, "add", "package-lock.json")
        _git(folder, "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "--message=x")
    return folder


def _git(folder: Path, *arguments: str) -> str:
    when = "2026-03-31T02:00:00Z"
    environ = {**os.environ, "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    done = subprocess.run(["git", *arguments], cwd=folder, env=environ, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _checked(folder: Path, work: Path) -> str:
    """The Markdown that `scangate check` writes about the last commit."""
    replay = ["serve", "--replay", str(ROOT / "examples" / "recorded"), "--data", str(work / "data")]
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SCANGATE_", "GITHUB_"))},
        "HOME": str(work),
        "XDG_STATE_HOME": str(work / "state"),
        "PYTHONPATH": str(ROOT),
    }
    with subprocess.Popen([*SCANGATE, *replay], env=environ, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            exports = [server.stdout.readline().strip().removeprefix("export ").partition("=") for _ in range(2)]
            environ |= {name: value for name, _, value in exports}
            environ |= {
                "GITHUB_SERVER_URL": "https://github.com",
                "GITHUB_REPOSITORY": "acme/shop",
                "GITHUB_SHA": _git(folder, "rev-parse", "HEAD"),
            }
            check = [*SCANGATE, "check", "--quiet", "--no-cache", "--base", "HEAD~1", "--format", "markdown"]
            done = subprocess.run(check, cwd=folder, env=environ, check=False, capture_output=True, text=True)
        finally:
            server.terminate()
    if done.returncode != 1:
        raise SystemExit(f"picture: exit code {done.returncode} instead of 1\n{done.stdout}{done.stderr}")
    return done.stdout.replace(environ["SCANGATE_API_URL"], "https://api.example.com")


def _html(text: str) -> str:
    return cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE)


def _photograph(page: Path, target: Path) -> None:
    """The page as high as it is: once to measure it, once to take the picture."""
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    measuring = page.with_name("measure.html")
    script = "<script>document.title = document.querySelector('.comment').getBoundingClientRect().bottom</script>"
    measuring.write_text(page.read_text() + script)
    size = f"--window-size={WIDTH},{HEIGHT}"
    dumped = subprocess.run(
        [*browser, size, "--dump-dom", measuring.as_uri()], check=True, capture_output=True, text=True
    ).stdout
    height = int(float(dumped.partition("<title>")[2].partition("</title>")[0])) + 20
    take = ["--force-device-scale-factor=1.5", f"--window-size={WIDTH},{height}", f"--screenshot={target}"]
    subprocess.run([*browser, *take, page.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
