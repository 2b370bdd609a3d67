"""What holds for every lockfile format: a new entry in the registry brings these tests with it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scangate import lockfiles, purls
from scangate.changes.worktree import WorkTree
from scangate.errors import LockfileError
from scangate.models.lockfile import Dependency, Ecosystem, Kind, Lockfile, Relation
from scangate.registries import NO_REGISTRIES
from tests.changes.unprivileged import open_folder, ordinary_user

ASSETS = Path(__file__).parent.parent / "assets"
NAMES = {"npm-package-lock": "package-lock.json", "pip-requirements": "requirements.txt", "poetry-lock": "poetry.lock"}
FORMATS = sorted(lockfiles.FORMATS)
STRUCTURED = sorted(set(FORMATS) - {"pip-requirements"})
"""Formats with a beginning and an end: a cut is seen. Any cut of a requirements file is one too, or a wrong line."""

REAL = sorted(
    str(path.relative_to(ASSETS))
    for path in ASSETS.rglob("*")
    if path.is_file() and lockfiles.recognise(path.relative_to(ASSETS).as_posix()) in lockfiles.FORMATS
)

_DIGEST = re.compile(r"(md5:[0-9a-f]{32}|sha1:[0-9a-f]{40}|sha(224|256|384|512):[0-9a-f]{56,128})\Z")


def read(format_: str, folder: Path, name: str | None = None) -> Lockfile:
    return lockfiles.read(name or NAMES[format_], format_, WorkTree(folder), NO_REGISTRIES)


def read_text(format_: str, folder: Path, content: bytes) -> Lockfile:
    (folder / NAMES[format_]).write_bytes(content)
    return read(format_, folder)


def refused(attempt: Callable[[], object], path: str | None = None) -> None:
    """One clear error; `path` is the file that it names (None: or one that this file includes)."""
    with pytest.raises(LockfileError) as caught:
        attempt()
    if path is not None:
        assert caught.value.message.startswith(f"{path}:")
    assert len(caught.value.message) < 1000
    assert not {"\n", "\r"} & set(caught.value.message + caught.value.hint)
    assert caught.value.hint.endswith(".")


def smallest_real(format_: str) -> bytes:
    return min(((ASSETS / path).read_bytes() for path in REAL if lockfiles.recognise(path) == format_), key=len)


def test_every_registered_format_has_a_name_here_a_loader_and_real_files() -> None:
    assert set(NAMES) == set(lockfiles.FORMATS)
    for format_, name in NAMES.items():
        assert lockfiles.recognise(name) == format_
        assert format_ == lockfiles.FORMATS[format_]().NAME
        assert sum(lockfiles.recognise(path) == format_ for path in REAL) >= 5


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("import scangate.lockfiles", {"tomllib", "json", "packaging"}),
        ("from scangate import lockfiles; lockfiles.FORMATS['npm-package-lock']()", {"tomllib", "packaging"}),
        ("from scangate import lockfiles; lockfiles.FORMATS['poetry-lock']()", {"tomllib", "packaging"}),
    ],
)
def test_a_format_is_loaded_when_it_is_needed_and_not_before(modules: str, absent: set[str]) -> None:
    code = f"{modules}; import sys; print(*sys.modules)"
    environ = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
    assert absent.isdisjoint(done.stdout.split())


class TestRefused:
    @pytest.mark.parametrize("format_", FORMATS)
    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(os.urandom(16) + bytes(range(256)) * 8, id="garbage"),
            pytest.param(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", id="an image"),
            pytest.param("# é\nа==1".encode("cp1251", "replace") + b"\xff\xfe\xfa", id="not UTF-8"),
            pytest.param(b"a==1\x00\n", id="NUL"),
            pytest.param(b"\x00" * 1000, id="NULs"),
            pytest.param(b"[" * 100_000, id="deep lists"),
            pytest.param(b"[" * 100_000 + b"]" * 100_000, id="deep lists, closed"),
            pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="deep objects"),
            pytest.param(b"a = " + b"{a = " * 100_000 + b"1" + b"}" * 100_000, id="deep tables"),
            pytest.param(b"a." * 100_000 + b"a = 1", id="deep keys"),
            pytest.param(b"<<<<<<< HEAD\na==1\n=======\na==2\n>>>>>>> x\n", id="a merge conflict"),
        ],
    )
    def test_what_no_package_manager_wrote(self, tmp_path: Path, format_: str, content: bytes) -> None:
        refused(lambda: read_text(format_, tmp_path, content), NAMES[format_])

    @pytest.mark.parametrize("format_", STRUCTURED)
    @pytest.mark.parametrize("content", [b"", b"\n", b"null", b"{}", b"[]", b"1", b'"text"', b"true", b"#", b"a==1"])
    def test_what_is_valid_and_no_lockfile(self, tmp_path: Path, format_: str, content: bytes) -> None:
        refused(lambda: read_text(format_, tmp_path, content), NAMES[format_])

    @pytest.mark.parametrize("format_", FORMATS)
    def test_what_is_no_readable_file(self, tmp_path: Path, format_: str) -> None:
        name = NAMES[format_]
        refused(lambda: read(format_, tmp_path), name)
        (tmp_path / "folder" / name).mkdir(parents=True)
        refused(lambda: read(format_, tmp_path / "folder"), name)
        with open(tmp_path / name, "wb") as file:
            file.truncate(200 * 2**20)
        refused(lambda: read(format_, tmp_path), name)
        (tmp_path / name).unlink()
        (tmp_path / name).symlink_to("/etc/passwd")
        refused(lambda: read(format_, tmp_path), name)
        with open_folder() as folder:
            (folder / name).touch(mode=0)
            with ordinary_user():
                refused(lambda: read(format_, folder), name)

    @pytest.mark.parametrize("format_", STRUCTURED)
    def test_a_cut_is_an_error_or_changes_nothing(self, tmp_path: Path, format_: str) -> None:
        for path in (path for path in REAL if lockfiles.recognise(path) == format_):
            content = (ASSETS / path).read_bytes()
            whole = _identities(read_text(format_, tmp_path, content))
            for part in range(1, 16):
                try:
                    cut = read_text(format_, tmp_path, content[: len(content) * part // 16])
                except LockfileError:
                    continue
                assert _identities(cut) == whole

    @pytest.mark.parametrize("format_", STRUCTURED)
    def test_every_line_of_the_end_can_be_cut_off(self, tmp_path: Path, format_: str) -> None:
        content = smallest_real(format_)
        whole = _identities(read_text(format_, tmp_path, content))
        lines = content.splitlines(keepends=True)
        for count in range(len(lines)):
            try:
                cut = read_text(format_, tmp_path, b"".join(lines[:count]))
            except LockfileError:
                continue
            assert _identities(cut) == whole


def _identities(lockfile: Lockfile) -> list[tuple[object, ...]]:
    return [(one.name, one.version, one.kind, one.integrity, one.line) for one in lockfile.dependencies]


@pytest.mark.parametrize("format_", FORMATS)
@given(data=st.data())
def test_a_damaged_real_file_is_read_or_refused_but_never_a_crash(
    tmp_path_factory: pytest.TempPathFactory, format_: str, data: st.DataObject
) -> None:
    content = bytearray(smallest_real(format_))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, max(0, len(content) - 1)))
        end = min(len(content), start + data.draw(st.integers(0, 40)))
        content[start:end] = data.draw(
            st.sampled_from([b"", b"\n", b'"', b"{", b"]", b"null", b"1", b"\\ud800", b"\\u0000", b"\\", b"#", b"\xff"])
            | st.binary(max_size=6)
        )
    folder = tmp_path_factory.mktemp("damaged")
    try:
        lockfile = read_text(format_, folder, bytes(content))
    except LockfileError:
        refused(lambda: read(format_, folder))
    else:
        for one in lockfile.dependencies:
            check_dependency(one)


@pytest.mark.parametrize("path", REAL)
class TestRealFiles:
    def test_each_entry_is_whole(self, path: str) -> None:
        lockfile = self._read(path)
        assert lockfile.supported
        assert lockfile.dependencies
        for one in lockfile.dependencies:
            check_dependency(one)

    def test_each_entry_points_at_the_line_that_has_its_name(self, path: str) -> None:
        for one in self._read(path).dependencies:
            lines = (ASSETS / Path(path).parent / Path(one.lockfile)).read_text().splitlines()
            # npm: an alias stands at the line of its key, with the real name in the lines below.
            below = 6 if one.ecosystem is Ecosystem.NPM else 1
            shown = "\n".join(lines[one.line - 1 : one.line - 1 + below])
            if one.ecosystem is Ecosystem.PYPI:
                shown = purls.normalise_pypi_name(shown)
            assert one.name in shown

    def test_the_same_bytes_give_the_same_answer(self, path: str) -> None:
        assert self._read(path) == self._read(path)

    def _read(self, path: str) -> Lockfile:
        format_ = lockfiles.recognise(path)
        assert format_ is not None
        return read(format_, ASSETS / Path(path).parent, Path(path).name)


def check_dependency(one: Dependency) -> None:
    """What models.Dependency promises."""
    assert one.line >= 1
    assert one.name
    assert one.lockfile
    assert list(one.integrity) == sorted(set(one.integrity))
    assert all(_DIGEST.match(digest) for digest in one.integrity)
    assert (one.registry or "").lower() == (one.registry or "")
    if one.purl is not None:
        assert one.kind is Kind.REGISTRY
        purl = purls.submittable(one.purl)
        assert (str(purl), purl.package_name, purl.version) == (one.purl, one.name, one.version)
        assert purl.ecosystem is one.ecosystem
    if one.path:
        assert one.path[-1].startswith(one.name)
        assert (one.relation is Relation.DIRECT) == (len(one.path) == 1)


def test_the_order_does_not_depend_on_pythons_hash_seed() -> None:
    code = (
        "import sys; from pathlib import Path; from scangate import lockfiles;"
        "from scangate.changes.worktree import WorkTree\n"
        "for path in sys.argv[2:]:\n"
        "    tree = WorkTree(Path(sys.argv[1]))\n"
        "    print(lockfiles.read(path, lockfiles.recognise(path), tree, lockfiles.Registries()))"
    )
    command = [sys.executable, "-c", code, str(ASSETS), *REAL]
    one, other = (
        subprocess.run(command, capture_output=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2")
    )
    assert one == other
    assert one.count(b"Lockfile(") == len(REAL)
