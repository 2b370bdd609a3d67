"""The requirements reader, edge by edge; what pip itself makes of a text is tests of the oracle."""

import codecs
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scangate.errors import LockfileError
from scangate.lockfiles import requirements, requirements_walk
from scangate.lockfiles.requirements_entries import MAX_REQUIREMENT_CHARACTERS
from scangate.lockfiles.requirements_lines import MAX_LINE_CHARACTERS, _physical_lines, logical_lines
from scangate.lockfiles.requirements_via import MAX_PATH
from scangate.lockfiles.requirements_walk import MAX_DEPTH, MAX_INCLUDES
from scangate.models.lockfile import Dependency, Ecosystem, Kind, Lockfile, Relation, Scope
from scangate.registries import DEFAULT_URL, NO_REGISTRIES, PUBLIC_HOSTS, PrivateRegistry, Registries

PYPI = DEFAULT_URL[Ecosystem.PYPI]
PYPI_HOST = PYPI.split("/")[2]
FILE_HOST = next(host for host in PUBLIC_HOSTS[Ecosystem.PYPI] if host.startswith("files."))
H = "0123456789abcdef" * 4
SECRET = "s3cr3t"


class Memory:
    """A tree of files in memory."""

    def __init__(self, files: Mapping[str, str | bytes]) -> None:
        self.files = files

    def read(self, path: str) -> bytes | None:
        content = self.files.get(path)
        return content.encode() if isinstance(content, str) else content


def read(
    text: str | bytes, others: Mapping[str, str | bytes] | None = None, registries: Registries = NO_REGISTRIES
) -> Lockfile:
    return requirements.read("requirements.txt", Memory({"requirements.txt": text, **(others or {})}), registries)


def outcome(data: str | bytes) -> Lockfile | LockfileError:
    try:
        return read(data)
    except LockfileError as refused:
        return refused


def one(text: str, registries: Registries = NO_REGISTRIES) -> Dependency:
    (dependency,) = read(text, registries=registries).dependencies
    return dependency


def error(text: str | bytes, others: Mapping[str, str | bytes] | None = None) -> LockfileError:
    with pytest.raises(LockfileError) as caught:
        read(text, others)
    assert caught.value.hint.endswith(".")
    assert "\n" not in caught.value.message
    return caught.value


def checks(found: Lockfile | Dependency) -> list[str]:
    return [fact.check for fact in found.facts]


# ------------------------------------------------------------------------------------------------- kinds


@pytest.mark.parametrize(
    ("text", "purl"),
    [
        ("requests==2.31.0", "pkg:pypi/requests@2.31.0"),
        ("Zope.Interface__x == 1.0", "pkg:pypi/zope-interface-x@1.0"),
        ("x==1.0,>=0.9", "pkg:pypi/x@1.0"),
        ("x (==1.0)", "pkg:pypi/x@1.0"),
        ("x===2004d", "pkg:pypi/x@2004d"),
        ("x==1!2.0+local.1", "pkg:pypi/x@1%212.0%2Blocal.1"),
        ("x==1.0.post1", "pkg:pypi/x@1.0.post1"),
        ("x[a,b]==1.0rc1 ; sys_platform == 'win32'", "pkg:pypi/x@1.0rc1"),
        ("x==1.0;", "pkg:pypi/x@1.0"),
    ],
)
def test_an_exact_version_is_a_package_of_the_registry(text: str, purl: str) -> None:
    found = one(text)
    assert (found.purl, found.kind, found.registry) == (purl, Kind.REGISTRY, PYPI_HOST)


@pytest.mark.parametrize("text", ["x", "x>=1.0", "x==1.*", "x~=1.0", "x!=1.0", "x==1.0,==2.0", "x>=1.0,<=1.0"])
def test_without_an_exact_version_nothing_is_guessed(text: str) -> None:
    found = one(text)
    assert (found.kind, found.version, found.purl, found.source) == (Kind.UNPINNED, None, None, text)


@pytest.mark.parametrize(
    ("text", "kind", "name", "source"),
    [
        ("git+https://u:p@git.example/a/b.git@v1#egg=My_B", Kind.GIT, "my-b", "git+https://git.example/a/b.git@v1#egg=My_B"),
        ("b @ git+ssh://git@git.example/a/b@main", Kind.GIT, "b", "git+ssh://git.example/a/b@main"),
        ("git+https://git.example/a/b.git", Kind.GIT, "b.git", "git+https://git.example/a/b.git"),
        ("hg+https://hg.example/b#egg=b", Kind.GIT, "b", "hg+https://hg.example/b#egg=b"),
        ("-e git+https://git.example/b#egg=b", Kind.GIT, "b", "git+https://git.example/b#egg=b"),
        ("-e git://git.example/b#egg=b", Kind.GIT, "b", "git+git://git.example/b#egg=b"),
        ("-e git+u:p@git.example:a/b.git#egg=b", Kind.GIT, "b", "git+git.example:a/b.git#egg=b"),
        ("-e 'b @ git+https://git.example/b ; python_version>\"3\"'", Kind.GIT, "b", "git+https://git.example/b"),
        ("-e .", Kind.LOCAL, ".", "."),
        ("/", Kind.LOCAL, "/", "/"),
        ("-e ./libs/one[extra]", Kind.LOCAL, "one", "./libs/one"),
        ("-e ./strange.zip", Kind.LOCAL, "strange.zip", "./strange.zip"),
        ("--editable=file:///srv/p#egg=p", Kind.LOCAL, "p", "file:///srv/p#egg=p"),
        ("../sibling", Kind.LOCAL, "sibling", "../sibling"),
        ("libs/one", Kind.LOCAL, "one", "libs/one"),
        ("b @ file:///srv/p", Kind.LOCAL, "b", "file:///srv/p"),
        ("b @ ./p", Kind.LOCAL, "b", "./p"),
        ("./b_c-1.0-py3-none-any.whl", Kind.FILE, "b-c", "./b_c-1.0-py3-none-any.whl"),
        ("b-1.0.tar.gz", Kind.FILE, "b", "b-1.0.tar.gz"),
        ("a-b-1.0.zip", Kind.FILE, "a-b-1.0.zip", "a-b-1.0.zip"),
        ("file:///srv/b-1.0-py3-none-any.whl", Kind.FILE, "b", "file:///srv/b-1.0-py3-none-any.whl"),
        ("https://x.example/b.zip?token=1", Kind.URL, "b.zip", "https://x.example/b.zip"),
        ("b @ https://x.example/archive/v1.tar.gz", Kind.URL, "b", "https://x.example/archive/v1.tar.gz"),
        ("b @ s3://bucket/b", Kind.URL, "b", "s3://bucket/b"),
    ],
)  # fmt: skip
def test_a_link_is_what_it_points_at(text: str, kind: Kind, name: str, source: str) -> None:
    found = one(text)
    assert (found.kind, found.name, found.source, found.purl) == (kind, name, source, None)


def test_a_wheel_tells_name_and_version() -> None:
    found = one(f"https://x.example/d/My.B-1.0-1-py3-none-any.whl#sha256={H}")
    assert (found.name, found.version, found.kind, found.registry) == ("my-b", "1.0", Kind.URL, "x.example")
    assert found.integrity == (f"sha256:{H}",)


@pytest.mark.parametrize(
    "text",
    [
        f"https://{FILE_HOST}/packages/aa/b_c-1.0-py3-none-any.whl",
        f"b-c @ https://{FILE_HOST}/packages/aa/b_c-1.0-py3-none-any.whl",
        f"b.c @ https://{FILE_HOST}/packages/aa/b-c-1.0.tar.gz",
        f"https://{FILE_HOST}/packages/aa/b_c-1.0.tar.gz",
    ],
)
def test_a_link_to_the_public_registrys_archive_is_its_package(text: str) -> None:
    assert one(text).purl == "pkg:pypi/b-c@1.0"


@pytest.mark.parametrize(
    "text", [f"https://{FILE_HOST}/packages/aa/b-c-1.0.tar.gz", f"b @ https://{FILE_HOST}/packages/aa/archive.zip"]
)
def test_an_archive_without_a_clear_name_is_no_package(text: str) -> None:
    found = one(text)
    assert (found.kind, found.purl, found.version) == (Kind.URL, None, None)


@pytest.mark.parametrize("host", ["x.example", FILE_HOST])
def test_an_archive_of_another_name_is_a_fact(host: str) -> None:
    found = one(f"requests @ https://{host}/p/evil-2.31.0-py3-none-any.whl")
    assert (found.name, found.kind, found.purl) == ("requests", Kind.URL, None)
    assert checks(found) == ["url-mismatch"]


def test_digests_from_options_and_continuations() -> None:
    found = one(f"x==1 \\\n    --hash=sha256:{H.upper()} \\\n    --hash sha512:{H}{H} --hash=sha256:{H}\n")
    assert found.integrity == (f"sha256:{H}", f"sha512:{H}{H}")


# ------------------------------------------------------------------------------------- pins from elsewhere


def test_a_constraint_pins_and_adds_nothing() -> None:
    found = read("x\ny>=1\n-c c.txt", {"c.txt": f"X==1.5 --hash=sha256:{H}\ny==2\nunused==3\n"})
    assert [(d.purl, d.lockfile, d.line) for d in found.dependencies] == [
        ("pkg:pypi/x@1.5", "requirements.txt", 1),
        ("pkg:pypi/y@2", "requirements.txt", 2),
    ]
    assert found.dependencies[0].integrity == (f"sha256:{H}",)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("x==1 ; python_version < '3'", None),
        ("x==1\nx==2", None),
        ("x==1\nx==1", "1"),
        ("x>=1", None),
    ],
)
def test_a_constraint_pins_only_without_doubt(text: str, version: str | None) -> None:
    (found,) = read("-c c.txt\nx", {"c.txt": text}).dependencies
    assert found.version == version


def test_a_constraint_pins_under_the_requirements_own_marker() -> None:
    (found,) = read("-c c.txt\nx; python_version<'3'", {"c.txt": 'x==1 ; python_version < "3"'}).dependencies
    assert found.version == "1"


def test_a_constraint_may_turn_a_pinned_name_into_a_link() -> None:
    constraint = "x @ https://x.example/x-1-py3-none-any.whl ; sys_platform == 'win32'"
    (found,) = read("-c c.txt\nx==1", {"c.txt": constraint}).dependencies
    assert (found.kind, found.purl, found.line) == (Kind.URL, None, 2)


def test_a_requirement_elsewhere_pins_too() -> None:
    found = read("-r base.txt\nx[extra]\n", {"base.txt": "x==1"})
    assert [d.purl for d in found.dependencies] == ["pkg:pypi/x@1", "pkg:pypi/x@1"]


def test_alternatives_by_marker_are_each_an_entry() -> None:
    found = read("x==1; python_version<'3'\nx==2; python_version>='3'\nx @ https://x.example/x.zip ; os_name=='nt'")
    assert [(d.version, d.kind) for d in found.dependencies] == [
        ("1", Kind.REGISTRY),
        ("2", Kind.REGISTRY),
        (None, Kind.URL),
    ]


@pytest.mark.parametrize("text", ["-e ./p", "https://x.example/x.zip", "x[a]==1", "./p"])
def test_what_pip_refuses_as_a_constraint(text: str) -> None:
    assert error("-c c.txt", {"c.txt": f"\n{text}"}).message.startswith("c.txt:2: a constraint")


# ---------------------------------------------------------------------------------------------- inclusion


def test_inclusions_are_relative_to_their_file_and_may_form_a_diamond() -> None:
    tree = {
        "requirements/all.txt": "-r web.txt\n--requirement ../base.txt",
        "requirements/web.txt": "-r ../base.txt\nweb==1",
        "base.txt": "base==1",
    }
    found = read("-r requirements/all.txt\n-c requirements/../c.txt", {**tree, "c.txt": ""})
    assert [(d.name, d.lockfile, d.line) for d in found.dependencies] == [
        ("base", "base.txt", 1),
        ("web", "requirements/web.txt", 2),
    ]
    memory = Memory({"requirements.txt": "-r requirements/all.txt\n-c c.txt", "c.txt": "", **tree})
    included = requirements_walk.walk("requirements.txt", memory).included
    assert included == {"base.txt", "requirements/all.txt", "requirements/web.txt"}


def test_a_file_may_be_both_included_and_a_constraint() -> None:
    found = read("-c base.txt\n-r base.txt", {"base.txt": "x==1"})
    assert [d.purl for d in found.dependencies] == ["pkg:pypi/x@1"]


def test_what_a_constraint_file_includes_is_installed() -> None:
    assert [d.name for d in read("-c c.txt", {"c.txt": "-r base.txt\ny==1", "base.txt": "x==1"}).dependencies] == ["x"]


@pytest.mark.parametrize(
    ("text", "others", "place", "words"),
    [
        ("\n-r requirements.txt", {}, "requirements.txt:2", "includes itself"),
        ("-c a.txt", {"a.txt": "-r ./requirements.txt"}, "a.txt:1", "includes itself"),
        ("-r missing.txt", {}, "requirements.txt:1", "no such file"),
        ("-r ../outside.txt", {}, "requirements.txt:1", "outside"),
        ("-r a/../../outside.txt", {}, "requirements.txt:1", "outside"),
        ("-r /etc/passwd", {}, "requirements.txt:1", "outside"),
        (f"-r https://u:{SECRET}@x.example/r.txt?{SECRET}", {}, "requirements.txt:1", "fetches nothing"),
        ("-c HTTPS://x.example/c.txt", {}, "requirements.txt:1", "fetches nothing"),
        ("-r file:///etc/r.txt", {}, "requirements.txt:1", "fetches nothing"),
        ("-r ${DIRECTORY}/r.txt", {}, "requirements.txt:1", "environment"),
    ],
)
def test_inclusions_that_cannot_be_followed(text: str, others: dict[str, str | bytes], place: str, words: str) -> None:
    message = error(text, others).message
    assert message.startswith(f"{place}: ")
    assert words in message
    assert SECRET not in message


def test_a_missing_lockfile() -> None:
    with pytest.raises(LockfileError, match="no such file"):
        requirements.read("requirements.txt", Memory({}), NO_REGISTRIES)


def test_inclusions_are_bounded() -> None:
    deep = {f"{number}.txt": f"-r {number + 1}.txt" for number in range(MAX_DEPTH + 2)}
    assert "deeper" in error("-r 0.txt", deep).message
    wide = {"a.txt": "-r b.txt\n" * 40, "b.txt": ""}
    assert len(read("-r a.txt\n", wide).dependencies) == 0
    assert "inclusions" in error("-r b.txt\n" * (MAX_INCLUDES + 1), wide).message


def test_a_path_to_the_lockfile_may_be_written_with_a_dot() -> None:
    memory = Memory({"./requirements.txt": "-r base.txt\n-r requirements.txt", "base.txt": ""})
    with pytest.raises(LockfileError, match="includes itself"):
        requirements.read("./requirements.txt", memory, NO_REGISTRIES)


def test_lines_are_bounded() -> None:
    assert error("\n" * 500_000 + "x==1").line == 500_001
    assert len(read("\n" * 499_999 + "x==1").dependencies) == 1


def test_requirements_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements_walk, "MAX_STATEMENTS", 3)
    assert len(read("x==1\n" * 3).dependencies) == 3
    assert error("x==1\n" * 4).line == 4


# ------------------------------------------------------------------------------------------------ options


def test_text_that_pip_passes_over_is_a_fact() -> None:
    found = read(
        "- x==1\nx==1 --index-url https://one.example/ --pre\n-r a.txt b.txt -r c.txt\n--hash=sha256:00\n",
        {"a.txt": ""},
    )
    assert [d.purl for d in found.dependencies] == ["pkg:pypi/x@1"]
    assert [(fact.check, fact.line) for fact in found.facts] == [("ignored-text", line) for line in (1, 2, 3, 4)]
    assert "'x==1'" in found.facts[0].detail
    assert "--index-url" in found.facts[1].detail
    assert "the second --requirement" in found.facts[2].detail


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("--no-such-option", "no such option"),
        ("x==1 --bogus", "no such option"),
        ("--index-url", "requires 1 argument"),
        ("--pre=yes", "does not take a value"),
        ("--no", "ambiguous"),
        ("x==1 --hash='unclosed", "quotation mark"),
        ("x==1 --hash=md5:00", "not of an algorithm"),
        ("x==1 --hash=nothing", "not of an algorithm"),
    ],
)
def test_options_that_pip_refuses(text: str, words: str) -> None:
    message = error(f"# one\n{text}").message
    assert message.startswith("requirements.txt:2: ")
    assert words in message


def test_options_without_effect_on_what_is_installed_are_taken() -> None:
    text = (
        "--pre\n--prefer-binary\n--no-binary :all:\n--only-binary=x\n--require-hashes\n--no-require-hashes\n"
        "--use-feature fast-deps\n--all-releases x\n--only-final y\n"
        "x==1 --config-settings 'a=b' -C c=d --global-option=\"--with x\" --install-option=--x\n"
    )
    found = read(text)
    assert [d.purl for d in found.dependencies] == ["pkg:pypi/x@1"]
    assert found.facts == ()


def test_a_host_without_certificate_is_a_fact() -> None:
    assert checks(read("--trusted-host one.example")) == ["trusted-host"]


# ---------------------------------------------------------------------------------------------- encodings


@pytest.mark.parametrize(
    "data",
    [
        codecs.BOM_UTF8 + b"caf==1 # \xc3\xa9",
        codecs.BOM_UTF16_LE + "caf==1 # é".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "caf==1 # é".encode("utf-16-be"),
        codecs.BOM_UTF32_LE + "caf==1 # é".encode("utf-32-le"),
        codecs.BOM_UTF32_BE + "caf==1 # é".encode("utf-32-be"),
        b"# first\n# -*- coding: latin-1 -*-\ncaf==1 # \xe9",
        b"# vim: set fileencoding=cp1252 :\ncaf==1 # \x93",
    ],
)
def test_encodings(data: bytes) -> None:
    assert [d.purl for d in read(data).dependencies] == ["pkg:pypi/caf@1"]


@pytest.mark.parametrize(
    "data",
    [
        b"caf\xe9==1",
        codecs.BOM_UTF16_LE + b"a",
        b"# coding: no-such-codec\nx==1",
        b"# coding: zlib\nx==1",
        b"# coding: unicode_escape\nx==1 \\x0ay==1",
        b"# coding: utf-7\nx==1",
        b"# coding: punycode\nx==1",
        b"\n\n# coding: latin-1\n\xe9",
        "x==1".encode("utf-16-le"),
    ],
)
def test_bytes_that_are_no_text(data: bytes) -> None:
    assert error(data).path == "requirements.txt"


# -------------------------------------------------------------------------------------------------- lines


def test_lines_are_joined_before_comments_and_keep_their_number() -> None:
    text = "# c \\\na==1 # x \\\n\n\nb==\\\n2 # y\nc==3\\\n  # a comment ends it\nd==4\r\ne==5\rf==6\x0cg==7\nh==8\\"
    assert [(d.name, d.version, d.line) for d in read(text).dependencies] == [
        ("a", "1", 2),
        ("b", "2", 5),
        ("c", "3", 7),
        ("d", "4", 9),
        ("e", "5", 10),
        ("f", "6", 11),
        ("g", "7", 11),
        ("h", "8", 12),
    ]


def test_an_error_inside_of_a_continuation_names_where_it_starts() -> None:
    assert error("a==1\nb==1 \\\n --hash=sha256:00 \\\n --bogus").line == 2


def test_a_hash_inside_of_a_url_is_no_comment() -> None:
    assert one("https://x.example/a.zip#egg=b # a comment").source == "https://x.example/a.zip#egg=b"


@pytest.mark.parametrize(
    "text",
    ["x" * (MAX_LINE_CHARACTERS + 1), ("y" * 10_000 + "\\\n") * 101, "x==" + "1" * MAX_REQUIREMENT_CHARACTERS],
)
def test_long_lines_are_refused(text: str) -> None:
    assert "longer than" in error(f"a==1\n{text}").message


@pytest.mark.parametrize(
    "text",
    [
        "x==1;" + "(" * 5000 + "os_name=='a'" + ")" * 5000,
        "-e 'x @ git+https://x.example/x ; " + "(" * 4000 + "'",
        "x " + " " * 900_000 + "y",
        "x" + "\t" * 200_000 + "#",
        "- " * 400_000,
        "--trusted-host " + "a://" * 20_000,
        "https://" + "[" * 9000,
        "-e " + "#egg=a-" * 1300,
    ],
)
def test_hostile_lines_end_in_time(text: str) -> None:
    found = outcome(text)
    assert isinstance(found, Lockfile) or len(found.message) < 500


@pytest.mark.parametrize(
    "text",
    [
        "This file lists what we need.",
        "x=1",
        "x==1 y==2",
        "==1",
        "x==",
        "x[a",
        "x;python_version",
        "https://x.example/not-a-wheel.whl",
        "https://[x.example/b.zip",
        "-e https://x.example/b.zip",
        "-e ''",
        "ssh://git.example/b",
        "see docs/README for more",
    ],
)
def test_what_is_no_requirement(text: str) -> None:
    assert error(f"\n{text}").message.startswith("requirements.txt:2: ")


def test_many_lines_of_one_name_end_in_time() -> None:
    """With a step for each pair of lines this takes minutes."""
    assert len(read("x==1  # via y\n" * 10_000).dependencies) == 10_000


def test_a_version_that_no_purl_can_hold() -> None:
    assert "package URL" in error("x==" + "1" * 5000).message


# -------------------------------------------------------------------------------------------- environment


@pytest.mark.parametrize(
    "text",
    ["x==${V}", "${X}==1", "x==1${S}", "x===1${S}", "./${D}", "-e ${D}", "x @ ${URL}", "-e 'x @ ${URL}'", "${X}"],
)
def test_a_variable_must_not_decide_what_is_installed(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "VXSD":
        monkeypatch.setenv(name, SECRET)
    message = error(text).message
    assert "${" in message
    assert SECRET not in message


def test_a_variable_inside_of_a_url_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    text = (
        "b @ git+https://${TOKEN}@git.example/b\nc @ https://${HOST}/c.zip\nhttps://x.example/d-${V}-py3-none-any.whl"
    )
    found = read(f"--index-url https://${{TOKEN}}@{PYPI_HOST}/simple\nx==1\n{text}\nfile:///srv/${{V}}\n$LOW==1"[:-7])
    assert SECRET not in repr(found)
    assert [(d.kind, d.registry) for d in found.dependencies] == [
        (Kind.REGISTRY, PYPI_HOST),
        (Kind.GIT, None),
        (Kind.URL, None),
        (Kind.URL, "x.example"),
        (Kind.FILE, None),
    ]


def test_an_index_named_by_a_variable_is_not_public() -> None:
    found = one("--index-url https://${INDEX_HOST}/simple\nx==1")
    assert (found.kind, found.purl, found.registry) == (Kind.PRIVATE_REGISTRY, None, None)
    assert one("--index-url ${INDEX}\nx==1").kind is Kind.PRIVATE_REGISTRY


# ------------------------------------------------------------------------------------------------ indexes

MIRROR = Registries(mirrors=frozenset({"mirror.example"}))
PRIVATE = Registries(private=(PrivateRegistry(host="pk.example", names=("acme-*",), where="scangate.yml:7"),))


@pytest.mark.parametrize(
    ("options", "registries", "kind", "registry"),
    [
        (f"-i {PYPI}", NO_REGISTRIES, Kind.REGISTRY, PYPI_HOST),
        ("-i https://mirror.example/simple", MIRROR, Kind.REGISTRY, "mirror.example"),
        ("-i https://mirror.example/simple", NO_REGISTRIES, Kind.PRIVATE_REGISTRY, "mirror.example"),
        ("--extra-index-url https://mirror.example/simple", MIRROR, Kind.REGISTRY, PYPI_HOST),
        (
            "--extra-index-url https://a.example\n-i https://b.example",
            NO_REGISTRIES,
            Kind.PRIVATE_REGISTRY,
            "b.example",
        ),
        ("-i https://b.example\n--extra-index-url https://a.example", NO_REGISTRIES, Kind.PRIVATE_REGISTRY, None),
        ("--extra-index-url https://pk.example/simple", PRIVATE, Kind.REGISTRY, PYPI_HOST),
        ("-i https://pk.example/simple", PRIVATE, Kind.PRIVATE_REGISTRY, "pk.example"),
        ("--no-index", NO_REGISTRIES, Kind.FILE, None),
        ("--no-index\n-i https://b.example\n-f ./wheels", NO_REGISTRIES, Kind.FILE, None),
        ("--no-index\n-f https://links.example/x.html", NO_REGISTRIES, Kind.URL, "links.example"),
        ("--no-index\n-f ./wheels -f x\n-f https://links.example", NO_REGISTRIES, Kind.URL, None),
        (f"--no-index\n-f https://{FILE_HOST}/x", NO_REGISTRIES, Kind.REGISTRY, FILE_HOST),
        ("-i file:///srv/index", NO_REGISTRIES, Kind.FILE, None),
    ],
)
def test_where_a_package_comes_from(options: str, registries: Registries, kind: Kind, registry: str | None) -> None:
    lockfile = read(f"x==1\n{options}", registries=registries)
    (found,) = lockfile.dependencies
    assert (found.kind, found.registry) == (kind, registry)
    assert found.purl == ("pkg:pypi/x@1" if kind is Kind.REGISTRY else None)
    assert "extra-index" not in checks(lockfile)


@pytest.mark.parametrize("name", ["x==1", "x"])
@pytest.mark.parametrize(
    "option",
    ["--extra-index-url https://u:s3cr3t@other.example/simple", "--find-links ./wheels", "-f https://other.example/x"],
)
def test_either_here_or_there_is_a_fact_and_no_purl(option: str, name: str) -> None:
    lockfile = read(f"{name}\n-r a.txt", {"a.txt": f"\n{option}"}, PRIVATE)
    (found,) = lockfile.dependencies
    assert (found.purl, found.registry) == (None, None)
    assert found.kind is (Kind.PRIVATE_REGISTRY if "==" in name else Kind.UNPINNED)
    (fact,) = [fact for fact in lockfile.facts if fact.check == "extra-index"]
    assert fact.line == 2
    assert fact.detail.startswith("a.txt:2: ")
    assert PYPI_HOST in fact.detail
    assert "scangate.yml" in fact.detail
    assert SECRET not in repr(lockfile)


def test_only_links_are_not_ambiguous() -> None:
    assert read("--extra-index-url https://other.example\nb @ https://x.example/b.zip").facts == ()


def test_a_name_that_is_tied_to_a_private_registry() -> None:
    options = "--extra-index-url https://pk.example/simple\n"
    found = one(f"{options}acme-core==1", PRIVATE)
    assert (found.kind, found.purl, found.registry, found.facts) == (Kind.PRIVATE_REGISTRY, None, "pk.example", ())


@pytest.mark.parametrize(
    "text",
    [
        "acme-core==1",
        "acme_core",
        f"acme-core @ https://{FILE_HOST}/p/acme_core-1-py3-none-any.whl",
        "--extra-index-url https://other.example\nAcme.Core==1",
        "--no-index\n-f https://links.example/\nacme-core==1",
    ],
)
def test_a_tied_name_from_elsewhere_is_confusion(text: str) -> None:
    found = one(text, PRIVATE)
    assert (found.name, found.kind, found.purl) == ("acme-core", Kind.PRIVATE_REGISTRY, None)
    assert checks(found) == ["confusion"]
    assert "pk.example" in found.facts[0].detail
    assert "scangate.yml:7" in found.facts[0].detail


def test_a_tied_name_from_a_directory_is_a_file() -> None:
    found = one("--no-index\n-f ./wheels\nacme-core==1", PRIVATE)
    assert (found.kind, found.facts) == (Kind.FILE, ())


@pytest.mark.parametrize(
    "text", ["b @ http://x.example/b.zip", "b @ git+http://x.example/b", "-e git://x.example/b#egg=b"]
)
def test_a_link_without_tls_is_a_fact(text: str) -> None:
    assert checks(one(text)) == ["plain-http"]


def test_an_index_without_tls_is_a_fact() -> None:
    found = read(f"x==1\n--index-url http://u:{SECRET}@x.example/simple")
    assert [(fact.check, fact.line) for fact in found.facts] == [("plain-http", 2)]
    assert SECRET not in repr(found)
    assert read("--index-url http://localhost:3141/simple\n-f http://127.0.0.1/x").facts == ()


# ---------------------------------------------------------------------------------- relation, path, scope


def test_via_in_both_styles() -> None:
    found = read(
        "# autogenerated by pip-compile\n"
        "a==1\n    # via -r requirements.in\n"
        "b==1  # via a, c\n"
        "c==1\n    # via\n    #   b\n    #   -c limits.txt\n"
        "d==1\n    # via example (pyproject.toml)\n"
        "e==1\n\n    # via\n\n    #   a\n"
        "f==1\n    # via the old mirror, and so on!\n"
    )
    assert [(d.name, d.relation, d.path) for d in found.dependencies] == [
        ("a", Relation.DIRECT, ("a@1",)),
        ("b", Relation.TRANSITIVE, ("a@1", "b@1")),
        ("c", Relation.TRANSITIVE, ("a@1", "b@1", "c@1")),
        ("d", Relation.DIRECT, ("d@1",)),
        ("e", Relation.UNKNOWN, ()),
        ("f", Relation.UNKNOWN, ()),
    ]


def test_what_someone_wrote_is_direct() -> None:
    assert [d.relation for d in read("a==1\nb").dependencies] == [Relation.DIRECT, Relation.DIRECT]


def test_a_parent_that_is_not_there_gives_no_path() -> None:
    found = one("a==1  # via gone")
    assert (found.relation, found.path) == (Relation.TRANSITIVE, ())


def test_paths_are_bounded_and_cycles_end() -> None:
    chain = "".join(f"p{number}==1  # via p{number - 1}\n" for number in range(1, MAX_PATH + 3))
    found = read(f"p0==1  # via -r x.in, p5\n{chain}").dependencies
    assert len(found[MAX_PATH - 1].path) == MAX_PATH
    assert found[MAX_PATH].path == ()


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("requirements.txt", Scope.PROD),
        ("requirements-dev.txt", Scope.DEV),
        ("dev-requirements.txt", Scope.DEV),
        ("requirements_test.txt", Scope.DEV),
        ("requirements/Dev.txt", Scope.DEV),
        ("docs/requirements.txt", Scope.DEV),
        ("test-server/requirements.txt", Scope.PROD),
        ("requirements-latest.txt", Scope.PROD),
    ],
)
def test_scope_by_name(path: str, scope: Scope) -> None:
    (found,) = requirements.read(path, Memory({path: "x==1"}), NO_REGISTRIES).dependencies
    assert found.scope is scope


def test_what_a_dev_file_includes_keeps_its_own_scope() -> None:
    memory = Memory({"requirements-dev.txt": "-r base.txt\ny==1", "base.txt": "x==1"})
    found = requirements.read("requirements-dev.txt", memory, NO_REGISTRIES).dependencies
    assert [d.scope for d in found] == [Scope.PROD, Scope.DEV]


# -------------------------------------------------------------------------------------------- recognition


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("requests==2.31.0\n", True),
        ("# a comment\n-r base.txt\n", True),
        ("x[a]>=1\ny ; python_version<'3'\nz @ https://x.example/z.zip\n", True),
        ("git+https://git.example/b\n./local\nb-1.0.tar.gz\n", True),
        ("x==1\nthis line is broken\ny==2\n", True),
        ("x==1\n" * 200 + "prose of the rest\n" * 900, True),
        ("", False),
        ("# only a comment\n", False),
        ("The quick brown fox\njumps over the dog.\nrequests\n", False),
        ("Permission is hereby granted, free of charge, to any person", False),
    ],
)
def test_recognition_by_content(text: str, expected: bool) -> None:
    assert requirements.looks_like(text) is expected


# --------------------------------------------------------------------------------------------- properties

NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}(rc[0-9])?(\.post[0-9])?(\+[a-z0-9]{1,4})?", fullmatch=True)
DIGESTS = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
ENTRIES = st.tuples(NAMES, VERSIONS, st.lists(DIGESTS, max_size=3), st.sampled_from(["", "# c\n", "\n", "\n\n"]))


@given(st.lists(ENTRIES, max_size=8))
def test_what_is_written_is_read(entries: list[tuple[str, str, list[str], str]]) -> None:
    text, lines = "", []
    for name, version, digests, between in entries:
        text += between
        lines.append(text.count("\n") + 1)
        text += f"{name}=={version}" + "".join(f" \\\n    --hash=sha256:{digest}" for digest in digests) + "\n"
    found = read(text).dependencies
    assert [(d.name.replace("-", ""), d.version, d.line) for d in found] == [
        (name.replace("-", ""), version, line) for (name, version, _, _), line in zip(entries, lines, strict=True)
    ]
    assert [set(d.integrity) for d in found] == [{f"sha256:{x}" for x in digests} for _, _, digests, _ in entries]


@given(st.text() | st.text(alphabet="xy=1.#\\ \n-re;@/:$%{X}[]'\"+"))
@example("x==1;'")
@example("# coding: \ud800".encode("utf-8", "replace").decode())
def test_any_text_is_read_or_refused(text: str) -> None:
    found = outcome(text.encode("utf-8", "surrogatepass"))
    if isinstance(found, LockfileError):
        assert found.hint
        return
    lines = text.count("\n") + text.count("\r") + 1
    assert all(1 <= d.line <= lines for d in found.dependencies)
    assert all((d.purl is not None) == (d.kind is Kind.REGISTRY) for d in found.dependencies)


@given(st.binary() | st.binary().map(lambda data: b"# coding: latin-1\n" + data))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    found = outcome(data)
    assert found.path == "requirements.txt"


@given(st.text(alphabet="ab\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"))
def test_lines_break_where_python_breaks_them(text: str) -> None:
    assert list(_physical_lines(text)) == text.splitlines(keepends=True)


@given(st.text(alphabet="ab#\\ \t\n\r\x0c\u2028"))
def test_no_character_but_white_space_and_marks_is_lost(text: str) -> None:
    lines = list(logical_lines(text, "f"))
    kept = "".join(line.text + line.comment for line in lines)
    assert sorted(c for c in kept if c in "ab") == sorted(c for c in text if c in "ab")
    assert [line.number for line in lines] == sorted(line.number for line in lines)
