"""What the lockfiles know about a package, as --local hands it to the engine."""

from scangate import pipeline
from scangate.cli import local
from scangate.local.fetch.base import Pin
from scangate.models.analysis import AnalysisRequest, Archive, Engine, OutcomeCode
from scangate.models.lockfile import Dependency, Ecosystem, Kind, Lockfile

SHA1, SHA512, OTHER512 = "sha1:" + "1" * 40, "sha512:" + "a" * 128, "sha512:" + "b" * 128
A256, B256 = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def entry(
    purl: str | None, *digests: str, lockfile: str = "package-lock.json", kind: Kind = Kind.REGISTRY
) -> Dependency:
    ecosystem = Ecosystem.PYPI if purl and "pypi" in purl else Ecosystem.NPM
    name, _, version = (purl or "pkg:npm/own@1.0.0").rpartition("/")[2].partition("@")
    return Dependency(
        ecosystem=ecosystem, name=name, version=version, kind=kind, purl=purl, integrity=digests, lockfile=lockfile
    )


def locked(path: str, *entries: Dependency) -> Lockfile:
    return Lockfile(path=path, format="package-lock", dependencies=entries)


def known(*lockfiles: Lockfile, uploads: pipeline.Uploads = pipeline.NO_UPLOADS) -> local.Known:
    return local.known(pipeline.group(lockfiles), lockfiles, uploads)


def test_digests_and_the_versions_beside_it() -> None:
    found = known(
        locked("a", entry("pkg:npm/x@1.0.0", SHA512, lockfile="a"), entry("pkg:npm/y@2.0.0", lockfile="a")),
        locked("b", entry("pkg:npm/y@3.0.0", SHA512, lockfile="b"), entry("pkg:pypi/z@1", A256, lockfile="b")),
    )
    assert found.conflicts == {}
    assert set(found.hints) == {"pkg:npm/x@1.0.0", "pkg:npm/y@2.0.0", "pkg:npm/y@3.0.0", "pkg:pypi/z@1"}
    x = found.hints["pkg:npm/x@1.0.0"]
    assert x.integrity == (SHA512,)
    assert x.closure.pins == (Pin(purl="pkg:npm/x@1.0.0", integrity=(SHA512,)), Pin(purl="pkg:npm/y@2.0.0"))
    assert found.hints["pkg:npm/y@3.0.0"].closure.pins == (Pin(purl="pkg:npm/y@3.0.0", integrity=(SHA512,)),)


def test_an_npm_archive_must_satisfy_every_lockfile() -> None:
    def of(*digests: tuple[str, ...]) -> local.Known:
        files = [
            locked(str(number), entry("pkg:npm/x@1.0.0", *each, lockfile=str(number)))
            for number, each in enumerate(digests)
        ]
        return known(*files)

    assert of((SHA512,), (SHA512, OTHER512)).hints["pkg:npm/x@1.0.0"].integrity == (SHA512,)
    assert of((SHA1,), (SHA512,)).hints["pkg:npm/x@1.0.0"].integrity == (SHA512,)
    assert of((), (SHA512,)).hints["pkg:npm/x@1.0.0"].integrity == (SHA512,)
    assert of((), ()).hints["pkg:npm/x@1.0.0"].integrity == ()
    conflict = of((SHA512,), (OTHER512,)).conflicts["pkg:npm/x@1.0.0"]
    assert conflict.code is OutcomeCode.INTEGRITY_MISMATCH
    assert "0:1, 1:1" in conflict.detail


def test_a_python_release_has_many_archives() -> None:
    found = known(
        locked("a", entry("pkg:pypi/x@1", A256, lockfile="a")), locked("b", entry("pkg:pypi/x@1", B256, lockfile="b"))
    )
    assert found.conflicts == {}
    assert found.hints["pkg:pypi/x@1"].integrity == (A256, B256)


def test_an_archive_of_the_project_gets_the_versions_beside_it() -> None:
    own = entry(None, SHA512, kind=Kind.FILE)
    lockfile = locked("package-lock.json", own, entry("pkg:npm/y@2.0.0"), entry(None, kind=Kind.GIT))
    request = AnalysisRequest(purl="pkg:npm/own@1.0.0", archive=Archive(filename="own.tgz", content=b""))
    (key,) = (subject.key for subject in pipeline.group([lockfile]) if subject.dependencies[0].kind is Kind.FILE)
    found = known(lockfile, uploads={key: request})
    assert found.hints["pkg:npm/own@1.0.0"].closure.pins == (Pin(purl="pkg:npm/y@2.0.0"),)
    assert set(found.hints) == {"pkg:npm/own@1.0.0", "pkg:npm/y@2.0.0"}


def test_what_the_local_engine_cannot_take_is_known_before_it_is_asked() -> None:
    assert local.unsupported(AnalysisRequest(purl="pkg:npm/x@1.0.0")) is None
    assert local.unsupported(AnalysisRequest(purl="pkg:pypi/x@1")) is None
    for request, code in (
        (AnalysisRequest(purl="pkg:vscode-extension/a/b@1.0.0"), OutcomeCode.SUBMIT_ERROR),
        (AnalysisRequest(purl="pkg:npm/x@1.0.0", engine=Engine.LASTPYMILE), OutcomeCode.SUBMIT_ERROR),
    ):
        shortfall = local.unsupported(request)
        assert shortfall is not None
        assert shortfall.code is code
        assert "not supported by the local engine" in shortfall.detail
