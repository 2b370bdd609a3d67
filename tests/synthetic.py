"""The synthetic malicious packages (tests/assets/synthetic) as archives: the same bytes each time."""

import base64
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

SOURCES = Path(__file__).parent / "assets" / "synthetic"
VERSION = "1.0.0"
_THEN = (1985, 10, 26, 8, 15, 0)
"""The time that npm gives every file in a package."""
_THEN_SECONDS = 499_162_500


def names() -> list[str]:
    return sorted(folder.name for folder in SOURCES.iterdir() if folder.is_dir())


def build(name: str, folder: Path) -> Path:
    """The archive of one package, made in `folder`."""
    source = SOURCES / name
    files = {str(path.relative_to(source)): path.read_bytes() for path in sorted(source.rglob("*")) if path.is_file()}
    if "package.json" in files:
        return _tarball(folder / f"synthetic-{name}-{VERSION}.tgz", "package", files)
    project = f"synthetic_{name.replace('-', '_')}-{VERSION}"
    if "setup.py" in files:
        return _tarball(folder / f"{project}.tar.gz", project, files)
    return wheel(folder, project, files)


def _tarball(path: Path, top: str, files: Mapping[str, bytes]) -> Path:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"{top}/{name}")
            info.size, info.mtime, info.mode = len(content), _THEN_SECONDS, 0o644
            tar.addfile(info, io.BytesIO(content))
    path.write_bytes(gzip.compress(plain.getvalue(), mtime=0))
    return path


def wheel(folder: Path, project: str, files: Mapping[str, bytes]) -> Path:
    """A wheel of these files; `project` is NAME-VERSION."""
    path = folder / f"{project}-py3-none-any.whl"
    name, _, version = project.partition("-")
    info = f"{project}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
    about = "Wheel-Version: 1.0\nGenerator: scangate-tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    members = {**files, f"{info}/METADATA": metadata.encode(), f"{info}/WHEEL": about.encode()}
    record = "".join(f"{each},{_digest(content)},{len(content)}\n" for each, content in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    with zipfile.ZipFile(path, "w") as zipped:
        for each, content in members.items():
            entry = zipfile.ZipInfo(each, date_time=_THEN)
            entry.external_attr = 0o644 << 16
            zipped.writestr(entry, content)
    return path


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
