"""The fetcher of every ecosystem that the local engine knows."""

from pathlib import Path
from threading import Event
from typing import assert_never

from scangate import purls
from scangate.local.fetch.base import Fetched, FetchError, Hint
from scangate.local.fetch.npm import NpmFetcher
from scangate.local.fetch.pypi import PypiFetcher
from scangate.local.fetch.relay import Relay
from scangate.local.fetch.upstream import Upstream
from scangate.local.jobs import Job
from scangate.models.lockfile import Ecosystem
from scangate.registries import DEFAULT_URL


class PackageFetcher:
    """A `Fetcher` from the public registries, or from the ones given. `close` ends its relay."""

    def __init__(
        self,
        *,
        npm: str = DEFAULT_URL[Ecosystem.NPM],
        pypi: str = DEFAULT_URL[Ecosystem.PYPI],
        upstream: Upstream | None = None,
    ) -> None:
        upstream = upstream or Upstream()
        self._relay = Relay()
        self._npm = NpmFetcher(upstream, self._relay, registry=npm)
        self._pypi = PypiFetcher(upstream, self._relay, index=pypi)

    def fetch(self, job: Job, hint: Hint, directory: Path, stop: Event) -> Fetched:
        ecosystem = purls.submittable(job.purl).ecosystem
        assert ecosystem is not None
        match ecosystem:
            case Ecosystem.NPM:
                return self._npm.fetch(job, hint, directory, stop)
            case Ecosystem.PYPI:
                return self._pypi.fetch(job, hint, directory, stop)
            case Ecosystem.VSCODE_EXTENSION:
                raise FetchError(
                    "vscode-extension packages are not supported by the local engine.", "Use the hosted service."
                )
            case _:
                assert_never(ecosystem)

    def close(self) -> None:
        self._relay.close()
