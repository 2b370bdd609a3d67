"""Made-up malicious packages, run for real in the sandbox: each is denied, by the rule that names what it does."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from scangate import pipeline
from scangate.cli import archives
from scangate.local.engines.dynamic import DynamicEngine
from scangate.local.fetch.fetcher import PackageFetcher
from scangate.local.jobs import COMPLETED, Job
from scangate.local.sandbox.bubblewrap import BubblewrapSandbox
from scangate.models.analysis import AnalysisRequest, Engine, Report
from scangate.models.verdict import Action, Status
from scangate.policy import loader
from tests import synthetic

RULES = {
    "child-process": {"net-on-import", "file-ssh-key", "chain-steal"},
    "credential-theft": {"file-ssh-key", "file-tokens"},
    "dns-exfiltration": {"net-dns-exfil", "bait-secret"},
    "download-execute": {"cmd-download-exec"},
    "http-exfiltration": {"net-on-install"},
    "https-beacon": {"net-on-install"},
    "import-code": {"net-on-import"},
    "memfd-execution": {"file-memfd"},
    "persistence": {"file-persist"},
    "pth-startup": {"net-on-import"},
    "reverse-shell": {"cmd-reverse-shell"},
    "setup-code": {"net-on-install"},
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An index with stand-ins of what every source distribution may take for granted: the tests need no network."""
    folder = tmp_path_factory.mktemp("index")
    for name in ("setuptools", "wheel"):
        synthetic.wheel(folder, f"{name}-99.0", {f"{name}.py": b""})

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith("/simple/"):
                super().do_GET()
                return
            files = [
                {
                    "filename": path.name,
                    "url": f"/{path.name}",
                    "hashes": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
                }
                for path in folder.glob(f"{self.path.split('/')[2]}-*.whl")
            ]
            document = {"meta": {"api-version": "1.0"}, "name": self.path.split("/")[2], "files": files}
            body = json.dumps(document).encode()
            self.send_response(200 if files else 404)
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def engine(index: str) -> Iterator[DynamicEngine]:
    fetcher = PackageFetcher(pypi=index)
    yield DynamicEngine(BubblewrapSandbox(), fetcher, {})
    fetcher.close()


def test_every_synthetic_package_is_tried() -> None:
    assert sorted(RULES) == synthetic.names()


@pytest.mark.parametrize("name", synthetic.names())
def test_the_archives_are_the_same_bytes_each_time(name: str, tmp_path: Path) -> None:
    first = synthetic.build(name, tmp_path).read_bytes()
    assert synthetic.build(name, tmp_path).read_bytes() == first


@pytest.mark.tool("bwrap", "strace", "ip", "unshare", "setpriv", "npm")
@pytest.mark.parametrize("name", sorted(RULES))
def test_it_is_denied_for_what_it_does(engine: DynamicEngine, name: str, tmp_path: Path) -> None:
    path = synthetic.build(name, tmp_path)
    purl = archives.purl_of(archives.load(path, path.name, None))
    job = Job(task_id=1, purl=purl, engine=Engine.DYNAMIC_ANALYSIS, archive=path, filename=path.name)
    outcome = engine.analyse(job, Event())
    assert outcome.status == COMPLETED, outcome.error_message
    assert outcome.report is not None
    policy = loader.default()
    run = pipeline.Run(
        policy=policy, engines=policy.engines, now=datetime.now(UTC), elapsed=lambda: 0.0, analyser_name="test"
    )
    result = pipeline.observe(run, AnalysisRequest(purl=purl), Report(payload=outcome.report))
    verdict = pipeline.judge(run, [pipeline.subject_of(purl, (result,))], (), {})
    denying = {finding.rule for finding in verdict.subjects[0].findings if finding.action is Action.DENY}
    assert denying >= RULES[name], f"{denying}\n{outcome.report.decode()}"
    assert verdict.status is Status.BLOCKED
