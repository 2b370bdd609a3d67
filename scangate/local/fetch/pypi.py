"""Python packages: the release's file chosen and checked by us, what it needs resolved by pip among wheels alone.

pip never sees a source distribution, whose setup.py it would run: the relay shows it a wheel with the same metadata
and nothing else. Source distributions are unpacked, and built inside the sandbox only.
"""

import importlib.util
import json
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin

from scangate import purls, urls
from scangate.digests import from_hex
from scangate.local.fetch import digests, interpreter, tools, wheels
from scangate.local.fetch.base import Fetched, FetchError, Hint
from scangate.local.fetch.relay import Page, Relay
from scangate.local.fetch.unpack import WantedMember, check, read_member, unpack
from scangate.local.fetch.upstream import NotThere, Upstream
from scangate.local.jobs import Job
from scangate.models.lockfile import Ecosystem
from scangate.registries import DEFAULT_URL, PUBLIC_HOSTS

if TYPE_CHECKING:
    from packaging.requirements import Requirement

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
"""PEP 691."""
BUILD_TOOLS = ("setuptools", "wheel")
"""What a source distribution without a [build-system] table is built with (PEP 517)."""
VENV, BUILD_VENV, SOURCES = "venv", "build-venv", "sources"
"""Directories of the tree."""


class PypiFetcher:
    """Fetches one Python package a call."""

    def __init__(self, upstream: Upstream, relay: Relay, *, index: str = DEFAULT_URL[Ecosystem.PYPI]) -> None:
        self._upstream = upstream
        self._relay = relay
        self._index = index.rstrip("/") + "/"

    def fetch(self, job: Job, hint: Hint, directory: Path, stop: Event) -> Fetched:
        purl = purls.parse(job.purl)
        tree = directory / "app"
        tree.mkdir()
        index = _Index(self._upstream, self._index, hint, directory, stop)
        if job.archive is None:
            index.take_from_index(purl)
        else:
            index.take_archive(purl, job.archive, job.filename or job.archive.name)
        resolving = _Resolving(self._relay, index, directory, stop)
        site_packages = interpreter.make_venv(tree / VENV)
        stubs: list[Path] = []
        for wheel in resolving.resolve(f"{purl.package_name}=={purl.version}", str(purl)):
            if wheels.is_stub(wheel):
                stubs.append(wheel)
            else:
                wheels.install(wheel, tree / VENV, site_packages)
        own, others = self._sources(index, stubs, purl, tree)
        if stubs:
            self._build_venv(resolving, [tree / each for each in (own, *others) if each], tree, str(purl))
        shutil.rmtree(directory / "downloads", ignore_errors=True)
        return Fetched(
            purl=purl, tree=tree, own_source=own, other_sources=others, missing=tuple(sorted(index.left_out))
        )

    def _sources(
        self, index: "_Index", stubs: list[Path], purl: purls.Purl, tree: Path
    ) -> tuple[str | None, tuple[str, ...]]:
        """Unpack the source distributions behind the stubs; the paths below the tree of the own one and the others."""
        own, others = None, []
        for stub in stubs:
            archive = index.sources[stub.name]
            name = wheels.parsed(stub.name)
            assert name is not None  # we wrote it
            path = f"{SOURCES}/{stub.name.removesuffix('.whl')}"
            unpack(archive, tree / path)
            if not (tree / path).is_dir():
                raise FetchError(f"{archive.name}: it holds no file.", "It is not analysed.")
            inside = [each for each in (tree / path).iterdir() if each.is_dir()]
            path = f"{path}/{inside[0].name}" if len(inside) == 1 else path
            if name[0] == purl.package_name:
                own = path
            else:
                others.append(path)
        return own, tuple(others)

    def _build_venv(self, resolving: "_Resolving", sources: list[Path], tree: Path, what: str) -> None:
        """What building takes, as wheels: unpacked outside, since inside there is no index."""
        wanted = dict.fromkeys(requirement for source in sources for requirement in _build_requires(source))
        site_packages = interpreter.make_venv(tree / BUILD_VENV)
        resolving.index.forget_own()
        for wheel in resolving.resolve(*wanted, what):
            if wheels.is_stub(wheel):
                raise FetchError(f"{what}: {wheel.name} is needed to build it and is no wheel.", "It is not analysed.")
            wheels.install(wheel, tree / BUILD_VENV, site_packages)


def _build_requires(source: Path) -> list[str]:
    """`build-system.requires`; together with the tools that an old setup.py takes for granted."""
    try:
        document = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))
        table = document.get("build-system", {})
        lines = [str(line) for line in table.get("requires", BUILD_TOOLS)]
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        lines = list(BUILD_TOOLS)
    usable, _ = wheels.parsed_requirements(lines)
    return [str(requirement) for requirement in usable] + list(BUILD_TOOLS)


@dataclass(slots=True)
class _Resolving:
    """pip, downloading wheels from the relay."""

    relay: Relay
    index: "_Index"
    directory: Path
    stop: Event
    _numbers: "count[int]" = field(default_factory=count)

    def resolve(self, *wanted: str) -> list[Path]:
        """The wheels (and stubs) of these requirements and all that they need. The last argument says for what."""
        *requirements, what = wanted
        target = self.directory / f"wheels-{next(self._numbers)}"
        target.mkdir()
        with self.relay.serving(self.index.page) as visit:
            self.index.base_url = visit.url
            argv = [
                *_pip(),
                *("--isolated", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--retries", "0"),
                *("download", "--quiet", "--only-binary", ":all:", "--no-build-isolation", "--dest", str(target)),
                *("--progress-bar", "off", "--index-url", f"{visit.url}simple/", *requirements),
            ]
            environ = tools.environment(self.directory, "/nonexistent") | {"PIP_CONFIG_FILE": "/dev/null"}
            try:
                tools.run(argv, self.directory, environ, self.stop, what=f"pip download for {what}")
            except FetchError as exc:
                raise (visit.problems[0] if visit.problems else exc) from exc
        return sorted(target.glob("*.whl"))


def _pip() -> tuple[str, ...]:
    if importlib.util.find_spec("pip") is not None:
        return (sys.executable, "-I", "-m", "pip")
    base = interpreter.current().program
    if base != Path(sys.executable).resolve() or sys.prefix != sys.base_prefix:
        return (str(base), "-I", "-m", "pip")
    raise FetchError("pip is not installed.", "Install it for this Python, e.g. apt-get install python3-pip.")


_File = Mapping[str, object]
"""One of PEP 691's `files`."""


@dataclass(slots=True)
class _Index:
    """What the relay says to one pip: wheels alone, at the lockfile's versions and with its digests."""

    upstream: Upstream
    index: str
    hint: Hint
    directory: Path
    stop: Event
    base_url: str = ""
    left_out: set[str] = field(default_factory=set)
    sources: dict[str, Path] = field(default_factory=dict)
    """By the stub's name: the source distribution that it stands for."""
    _numbers: "count[int]" = field(default_factory=count)
    _own: tuple[str, str, Path] | None = None
    """Name, file name, file."""
    _offered: dict[str, tuple[str, _File]] = field(default_factory=dict)
    """By offered file name: the project, and the index's file behind it."""

    def __post_init__(self) -> None:
        (self.directory / "downloads").mkdir()

    # ------------------------------------------------------------------------------------- the package itself

    def take_from_index(self, purl: purls.Purl) -> None:
        """Choose, download and check the release's file. Raises IntegrityMismatch, FetchError."""
        name = purl.package_name
        files = {str(each["filename"]): each for each in self._files(name) if _version_of(each) == _asked(purl)}
        if not files:
            raise NotThere(f"{purl}: the index has no such version.", "Check the name and the version.")
        locked = {name: each for name, each in files.items() if set(_hashes(each)) & set(self.hint.integrity)}
        # Without a common file, download one all the same: its digest is what the finding has to show.
        filename = next(wheels.preferred(locked or files), None)
        if filename is None:
            raise FetchError(
                f"{purl}: none of its {len(files)} files can be used with this Python and platform.",
                "Analyse it where it is used.",
            )
        path = self._download(files[filename], self.hint.integrity or _hashes(files[filename]), str(purl))
        self._own = (name, filename, path)

    def take_archive(self, purl: purls.Purl, archive: Path, filename: str) -> None:
        """Check an archive that was given. Raises IntegrityMismatch, FetchError."""
        digests.verify(str(purl), archive, self.hint.integrity or (digests.of_file(archive, "sha256"),))
        named = wheels.parsed(filename)
        if named is None or named[0] != purl.package_name or _plain_version(named[1]) != _asked(purl):
            raise FetchError(
                f"{purl}: {filename[:100]!r} is not the file name of a wheel or source distribution of it.",
                "Submit the archive by the name that its build gave it, with that name and version.",
            )
        if next(wheels.preferred((filename,)), None) is None:
            raise FetchError(f"{purl}: {filename[:100]} is not for this Python and platform.", "Analyse it there.")
        path = self._place(filename)
        shutil.copyfile(archive, path)
        check(path)
        self._own = (purl.package_name, filename, path)

    def forget_own(self) -> None:
        """From now on the index answers for this project, too: what a build needs may be the package itself."""
        self._own = None

    # ---------------------------------------------------------------------------------------- what pip is told

    def page(self, path: str) -> Page:
        """`simple/NAME/` is the project, `files/FILENAME` a wheel."""
        kind, _, rest = path.partition("/")
        if kind == "files":
            return Page(content=self._served(rest))
        name = purls.normalise_pypi_name(rest.strip("/"))
        files = self._own_files() if self._own is not None and name == self._own[0] else self._offers(name)
        document = {"meta": {"api-version": "1.0"}, "name": name, "files": files}
        return Page(content=json.dumps(document).encode(), media_type=SIMPLE_JSON)

    def _own_files(self) -> list[dict[str, object]]:
        assert self._own is not None
        name, filename, path = self._own
        if filename.endswith(".whl"):
            self._offered[filename] = (name, {})
            return [self._offer(filename, {}, {"sha256": digests.of_file(path, "sha256").partition(":")[2]})]
        return [self._offer_stub(name, {"filename": filename})]

    def _offers(self, name: str) -> list[dict[str, object]]:
        by_version: dict[str, dict[str, _File]] = {}
        for each in self._files(name):
            version = _version_of(each)
            if version is not None and self._is_pinned(name, version, each):
                by_version.setdefault(version, {})[str(each["filename"])] = each
        offers = []
        for files in by_version.values():
            best = next(wheels.preferred(files), None)
            if best is None:
                continue
            if best.endswith(".whl"):
                self._offered[best] = (name, files[best])
                offers.append(self._offer(best, files[best], dict(_object(files[best].get("hashes")))))
            else:
                offers.append(self._offer_stub(name, files[best]))
        return offers

    def _is_pinned(self, name: str, version: str, file: _File) -> bool:
        pinned = self.hint.closure.versions(Ecosystem.PYPI, name)
        if not pinned:
            return True
        expected = {_plain_version(each): digests for each, digests in pinned.items()}.get(version)
        return expected is not None and (not expected or bool(set(expected) & set(_hashes(file))))

    def _offer(self, filename: str, file: _File, hashes: Mapping[str, object]) -> dict[str, object]:
        offer: dict[str, object] = {
            "filename": filename,
            "url": f"{self.base_url}files/{quote(filename)}",
            "hashes": dict(hashes),
        }
        return offer | {key: file[key] for key in ("requires-python", "yanked") if file.get(key)}

    def _offer_stub(self, name: str, file: _File) -> dict[str, object]:
        version = _version_of(file)
        stub = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        self._offered[stub] = (name, file)
        return self._offer(stub, file, {})

    def _served(self, filename: str) -> Path:
        known = self._offered.get(filename)
        if known is None:
            raise NotThere(f"{filename}: never offered.", "")
        name, file = known
        own = self._own if self._own is not None and self._own[0] == name else None
        path = own[2] if own else self._download(file, _hashes(file), filename)
        if not path.name.endswith(".whl"):
            return self._stub(filename, path)
        _, others = wheels.requirements(wheels.wheel_metadata(path))
        if others:  # pip would fetch a URL, and build what it finds there
            raise FetchError(f"{filename}: it requires {others[0]} from a URL.", "The local engine fetches none.")
        return path

    def _stub(self, filename: str, source: Path) -> Path:
        named = wheels.parsed(filename)
        assert named is not None  # we made it up
        usable, others = _source_requires(source)
        self.left_out |= {f"{each}: not from the index" for each in others}
        stub = self._place(filename)
        wheels.write_stub(stub, *named, usable)
        self.sources[filename] = source
        return stub

    # ------------------------------------------------------------------------------------------ what the index says

    def _files(self, name: str) -> list[_File]:
        url = f"{self.index}{quote(name, safe='')}/"
        return self.upstream.document(url, SIMPLE_JSON, self.stop, read=lambda page: _listed(page, url))

    def _download(self, file: _File, expected: tuple[str, ...], what: str) -> Path:
        url = urljoin(self.index, str(file.get("url")))
        if urls.host_of(url) not in PUBLIC_HOSTS[Ecosystem.PYPI] | {urls.host_of(self.index)}:
            raise FetchError(f"{what}: the index sends us to another host.", "It is not fetched.")
        path = self._place(str(file["filename"]))
        self.upstream.download_checked(what, url, path, expected, self.stop)
        check(path)
        return path

    def _place(self, filename: str) -> Path:
        """A directory of its own for each: the file's name has to stay."""
        folder = self.directory / "downloads" / str(next(self._numbers))
        folder.mkdir()
        return folder / Path(filename).name


def _source_requires(source: Path) -> "tuple[list[Requirement], list[str]]":
    """A source distribution's requirements, as far as they stand in it; what only its setup.py knows is not there."""
    metadata = read_member(source, WantedMember("PKG-INFO", 1)) or b""
    usable, others = wheels.requirements(metadata)
    if usable or others:
        return usable, others
    old = read_member(source, WantedMember("requires.txt", 2, parent_suffix=".egg-info")) or b""
    old = old or read_member(source, WantedMember("requires.txt", 3, parent_suffix=".egg-info")) or b""
    plain = re.split(rb"^\[", old, maxsplit=1, flags=re.MULTILINE)[0]  # sections are extras and markers
    return wheels.parsed_requirements(line for line in plain.decode("utf-8", "replace").splitlines() if line.strip())


def _listed(page: bytes, url: str) -> list[_File]:
    try:
        files = json.loads(page)["files"]
        return [each for each in files if isinstance(each, dict) and isinstance(each["filename"], str)]
    except (ValueError, RecursionError, LookupError, TypeError) as exc:
        raise FetchError(f"{url}: not an index page (PEP 691).", "Try again later.") from exc


def _hashes(file: _File) -> tuple[str, ...]:
    hashes = _object(file.get("hashes"))
    return from_hex(" ".join(f"{name}:{value}" for name, value in hashes.items()))


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _version_of(file: _File) -> str | None:
    named = wheels.parsed(str(file["filename"]))
    return None if named is None else _plain_version(named[1])


def _asked(purl: purls.Purl) -> str:
    return _plain_version(purl.version or "")


def _plain_version(text: str) -> str:
    """One spelling for equal versions: "1.0" is 1.0.0 (PEP 440)."""
    from packaging.utils import canonicalize_version

    return canonicalize_version(text)
