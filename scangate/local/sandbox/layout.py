"""What the package finds around it: paths, a user, a small /etc, and baits that nobody has a reason to touch."""

from collections.abc import Mapping

from scangate.local.sandbox import dns

APP = "/app"
"""The job's tree; writable."""
HOME = "/home/dev"
USER = "dev"
USER_ID = 1000
PATH = "/usr/local/bin:/usr/bin:/bin"
WRITABLE = {APP: "app", HOME: "home", "/tmp": "tmp", "/var/tmp": "vartmp", "/dev/shm": "shm"}  # noqa: S108  (sandbox)
"""Sandbox paths that the package may write to, by the folder of the size-limited tmpfs that each one is."""

SYSTEM_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Links into /usr, or directories on machines that keep them apart."""
SYSTEM_FILES = (
    "/etc/alternatives", "/etc/ca-certificates", "/etc/ca-certificates.conf", "/etc/crypto-policies", "/etc/fonts",
    "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/mime.types",
    "/etc/os-release", "/etc/pki/ca-trust", "/etc/pki/tls/certs", "/etc/protocols", "/etc/services",
    "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/timezone",
)  # fmt: skip
"""Of the machine's /etc: what programs need, and nothing that tells about the machine's owner."""

ETC = {
    "passwd": (
        f"root:x:0:0:root:/root:/bin/bash\n{USER}:x:{USER_ID}:{USER_ID}:{USER}:{HOME}:/bin/bash\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    ),
    "group": f"root:x:0:\n{USER}:x:{USER_ID}:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 workstation\n",
    "hostname": "workstation\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\n",
    "resolv.conf": f"nameserver {dns.ADDRESS}\noptions timeout:2 attempts:1\n",
    "gai.conf": "",
    "shells": "/bin/sh\n/bin/bash\n",
}
HOSTNAME = "workstation"

_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n"


def bait_files(baits: Mapping[str, str]) -> dict[str, str]:
    """Files below HOME that look like secrets, by relative path. They hold the planted values of `baits`."""
    values = [*baits.values(), ""]
    first = values[0]

    def value(*words: str) -> str:
        return next((text for name, text in baits.items() if all(word in name.upper() for word in words)), first)

    key, secret, token = value("ACCESS_KEY"), value("SECRET"), value("TOKEN")
    return {
        ".ssh/id_rsa": _KEY.format(body=secret or first),
        ".ssh/id_ed25519": _KEY.format(body=token or first),
        ".ssh/known_hosts": "",
        ".aws/credentials": f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n",
        ".config/gcloud/application_default_credentials.json": f'{{"type": "authorized_user", "token": "{token}"}}\n',
        ".config/gh/hosts.yml": f"github.example:\n    oauth_token: {token}\n",
        ".docker/config.json": "{}\n",
        ".git-credentials": f"https://{USER}:{token}@git.example\n",
        ".kube/config": f"apiVersion: v1\nkind: Config\nusers:\n- name: {USER}\n  user:\n    token: {token}\n",
        ".netrc": f"machine git.example login {USER} password {token}\n",
        ".npmrc": f"//npm.example/:_authToken={token}\n",
        ".pypirc": f"[pypi]\nusername = __token__\npassword = {token}\n",
        ".bash_history": "git pull\nmake test\n",
        ".bashrc": "# ~/.bashrc\n",
        ".profile": "# ~/.profile\n",
        ".gnupg/private-keys-v1.d/0123456789ABCDEF.key": f"Key: {secret}\n",
    }
