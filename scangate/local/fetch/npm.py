"""npm packages: the tarball checked by us, everything beside it resolved by npm with scripts off.

npm gets its metadata from the relay: at the lockfile's versions where there are any, tarballs only from the registry,
and no dependency that is a git repository, a URL or a directory (`npm` would go and fetch or link those).
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event
from urllib.parse import quote

from scangate import purls, urls
from scangate.digests import from_hex, from_sri, strongest
from scangate.local.fetch import digests, tools
from scangate.local.fetch.base import Fetched, FetchError, Hint
from scangate.local.fetch.relay import Page, Relay
from scangate.local.fetch.unpack import WantedMember, check, read_member
from scangate.local.fetch.upstream import NotThere, Upstream
from scangate.local.jobs import Job
from scangate.models.lockfile import Ecosystem
from scangate.registries import DEFAULT_URL, PUBLIC_HOSTS

ABBREVIATED = "application/vnd.npm.install-v1+json"
"""The packument with only what an installation needs (npm's documented media type)."""
_DEPENDENCY_FIELDS = ("dependencies", "optionalDependencies", "peerDependencies")
_KEPT_FIELDS = (
    *_DEPENDENCY_FIELDS,
    *("name", "version", "bin", "os", "cpu", "libc", "engines", "peerDependenciesMeta", "bundleDependencies"),
    *("bundledDependencies", "hasInstallScript", "directories"),
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NpmFetcher:
    """Fetches one npm package a call."""

    def __init__(self, upstream: Upstream, relay: Relay, *, registry: str = DEFAULT_URL[Ecosystem.NPM]) -> None:
        self._upstream = upstream
        self._relay = relay
        self._registry = registry if registry.endswith("/") else registry + "/"

    def fetch(self, job: Job, hint: Hint, directory: Path, stop: Event) -> Fetched:
        purl = purls.parse(job.purl)
        downloads, project = directory / "downloads", directory / "app"
        downloads.mkdir()
        project.mkdir()
        registry = _Registry(self._upstream, self._registry, hint, downloads, stop)
        if job.archive is None:
            registry.take_from_registry(purl)
        else:
            registry.take_archive(purl, job.archive)
        with self._relay.serving(registry.page) as visit:
            registry.base_url = visit.url
            try:
                _install(purl, project, directory, visit.url, stop)
            except FetchError as exc:
                raise (visit.problems[0] if visit.problems else exc) from exc
        folder = f"node_modules/{purl.package_name}"
        if not (project / folder / "package.json").is_file():
            raise FetchError(f"{purl}: npm did not install it.", "It may not be meant for this platform.")
        return Fetched(purl=purl, tree=project, folder=folder, missing=tuple(sorted(registry.left_out)))


def _install(purl: purls.Purl, project: Path, directory: Path, registry: str, stop: Event) -> None:
    home = directory / "npm"
    home.mkdir()
    dependencies = {purl.package_name: purl.version}
    manifest = project / "package.json"
    manifest.write_text(json.dumps({"name": "app", "version": "0.0.0", "private": True, "dependencies": dependencies}))
    npm = shutil.which("npm", path=_PATH) or shutil.which("npm")
    if npm is None:
        raise FetchError("npm is not installed.", "Install Node.js with npm, e.g. apt-get install nodejs npm.")
    options = {
        "userconfig": home / "user.npmrc",
        "globalconfig": home / "global.npmrc",
        "cache": home / "cache",
        "registry": registry,
        "replace-registry-host": "never",
        "git": "/bin/false",
        "fetch-retries": 0,
        "loglevel": "error",
    }
    switches = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--no-progress")
    path = f"{Path(npm).parent}:{_PATH}"
    argv = [npm, "install", *switches, *(f"--{name}={value}" for name, value in options.items())]
    environ, what = tools.environment(home, path), f"npm install of {purl}"
    try:
        tools.run(argv, project, environ, stop, what=what)
    except FetchError as exc:
        if "ERESOLVE" not in exc.message:
            raise
        # What its peers ask for cannot be had together. Projects install such packages all the same, by this.
        tools.run([*argv, "--force"], project, environ, stop, what=what)
    (project / ".scangate-tool.log").unlink()
    shutil.rmtree(home)


@dataclass(slots=True)
class _Registry:
    """What the relay says to one npm: the package itself as it was checked, the rest from the registry."""

    upstream: Upstream
    registry: str
    hint: Hint
    downloads: Path
    stop: Event
    base_url: str = ""
    left_out: set[str] = field(default_factory=set)
    _numbers: "count[int]" = field(default_factory=count)
    _own: dict[str, object] = field(default_factory=dict)
    _own_file: Path = Path()
    _elsewhere: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """By package and version: what it asks for that is not from the registry."""
    _tarballs: dict[tuple[str, str], Mapping[str, object]] = field(default_factory=dict)

    # ------------------------------------------------------------------------------------- the package itself

    def take_from_registry(self, purl: purls.Purl) -> None:
        """Download and check it. Raises IntegrityMismatch, FetchError."""
        name, version = purl.package_name, purl.version or ""
        manifest = self._versions(name).get(version)
        if not isinstance(manifest, dict):
            raise NotThere(f"{purl}: the registry has no such version.", "Check the name and the version.")
        self._own_file = self._tarball(name, version, manifest, self.hint.integrity)
        self._own = dict(manifest)

    def take_archive(self, purl: purls.Purl, archive: Path) -> None:
        """Check an archive that was given. Raises IntegrityMismatch, FetchError."""
        digests.verify(str(purl), archive, self.hint.integrity or (digests.of_file(archive, "sha512"),))
        target = self.downloads / "archive.tgz"
        shutil.copyfile(archive, target)
        content = read_member(target, WantedMember("package.json", 1))
        manifest = _object(_json(content or b"null", f"{purl}: package.json"))
        if (manifest.get("name"), manifest.get("version")) != (purl.package_name, purl.version):
            raise FetchError(
                f"{purl}: the archive's package.json names {str(manifest.get('name'))[:100]} "
                f"{str(manifest.get('version'))[:100]}.",
                "Submit the archive with its own name and version.",
            )
        check(target)
        self._own, self._own_file = manifest, target

    # ---------------------------------------------------------------------------------------- what npm is told

    def page(self, path: str) -> Page:
        """`NAME` is the packument, `NAME/-/VERSION.tgz` a tarball."""
        name, separator, file = path.partition("/-/")
        if separator:
            return Page(content=self._served_tarball(name, file.removesuffix(".tgz")))
        return Page(content=json.dumps(self._packument(name)).encode(), media_type=ABBREVIATED)

    def _packument(self, name: str) -> dict[str, object]:
        if name == self._own.get("name"):
            version = str(self._own["version"])
            sri = digests.to_sri(digests.of_file(self._own_file, "sha512"))
            versions = {version: self._manifest(name, version, self._own, sri)}
        else:
            pinned = self._pinned(name)
            versions = {
                version: self._manifest(name, version, manifest, self._sri(name, version, manifest))
                for version, manifest in self._versions(name).items()
                if isinstance(manifest, dict) and (not pinned or version in pinned)
            }
        tags = self._tags(name, versions)
        return {"name": name, "dist-tags": tags, "versions": versions}

    def _tags(self, name: str, versions: Mapping[str, object]) -> dict[str, object]:
        if name == self._own.get("name"):
            return {"latest": next(iter(versions))}
        tags = _object(self._document(name).get("dist-tags") or {})
        return {tag: version for tag, version in tags.items() if version in versions}

    def _manifest(self, name: str, version: str, manifest: Mapping[str, object], sri: str | None) -> dict[str, object]:
        kept = {key: manifest[key] for key in _KEPT_FIELDS if key in manifest}
        kept |= {"name": name, "version": version}
        for key in _DEPENDENCY_FIELDS:
            wanted = kept.get(key)
            if isinstance(wanted, dict):
                usable = kept[key] = {each: spec for each, spec in wanted.items() if _is_from_registry(spec)}
                self._elsewhere.setdefault((name, version), set()).update(wanted.keys() - usable.keys())
        tarball = f"{self.base_url}{quote(name, safe='@/')}/-/{quote(version, safe='')}.tgz"
        self._tarballs[name, version] = manifest
        kept["dist"] = {"tarball": tarball} | ({"integrity": sri} if sri else {})
        return kept

    def _sri(self, name: str, version: str, manifest: Mapping[str, object]) -> str | None:
        expected = self._pinned(name).get(version) or _promised(manifest)
        algorithm = strongest(expected)
        return " ".join(digests.to_sri(each) for each in expected if each.startswith(f"{algorithm}:")) or None

    def _served_tarball(self, name: str, version: str) -> Path:
        # Of what is installed alone: a packument has every version, of which any may have named something odd.
        self.left_out.update(f"{each}: not from the registry" for each in self._elsewhere.get((name, version), ()))
        if name == self._own.get("name"):
            return self._own_file
        manifest = self._tarballs.get((name, version))
        if manifest is None:
            raise NotThere(f"{name} {version}: never offered.", "")
        return self._tarball(name, version, manifest, self._pinned(name).get(version, ()))

    def _pinned(self, name: str) -> Mapping[str, tuple[str, ...]]:
        return self.hint.closure.versions(Ecosystem.NPM, name)

    # -------------------------------------------------------------------------------------- what the registry says

    def _versions(self, name: str) -> dict[str, object]:
        return _object(self._document(name).get("versions") or {})

    def _document(self, name: str) -> dict[str, object]:
        url = self.registry + quote(name, safe="@")
        return self.upstream.document(url, ABBREVIATED, self.stop, read=lambda page: _object(_json(page, url)))

    def _tarball(self, name: str, version: str, manifest: Mapping[str, object], expected: tuple[str, ...]) -> Path:
        url = str(_object(manifest.get("dist") or {}).get("tarball"))
        if urls.host_of(url) not in PUBLIC_HOSTS[Ecosystem.NPM] | {urls.host_of(self.registry)}:
            raise FetchError(f"{name} {version}: the registry sends us to another host.", "It is not fetched.")
        target = self.downloads / f"{next(self._numbers)}.tgz"  # npm may ask for one tarball twice at once
        self.upstream.download_checked(f"{name} {version}", url, target, expected or _promised(manifest), self.stop)
        check(target)
        return target


def _is_from_registry(spec: object) -> bool:
    """A range, a tag or an alias; anything with a slash or a scheme leads elsewhere."""
    return isinstance(spec, str) and (spec.startswith("npm:") or (":" not in spec and "/" not in spec))


def _promised(manifest: Mapping[str, object]) -> tuple[str, ...]:
    """The registry's own digests."""
    dist = _object(manifest.get("dist") or {})
    return (*from_sri(str(dist.get("integrity"))), *from_hex(f"sha1:{dist.get('shasum')}"))


def _json(content: bytes, what: str) -> object:
    try:
        document: object = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise FetchError(f"{what}: not JSON.", "Try again later.") from exc
    return document


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise FetchError("The package's metadata is not in the registry's form.", "It is not analysed.")
    return value
