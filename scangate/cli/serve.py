"""`scangate serve`: the embedded analysis service, with an engine of its own or answering with recorded reports."""

import argparse
import shlex
from pathlib import Path

from scangate.cli.analysis import state_dir
from scangate.cli.context import Context
from scangate.errors import ExitCode, UsageError
from scangate.files import Unreadable, read_bounded

MAX_KEY_FILE_BYTES = 64 * 1024
MIN_KEY_CHARACTERS = 16


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--replay",
        metavar="DIR",
        type=Path,
        help="answer with the recorded reports in DIR (default: analyse on this machine; see `scangate doctor`)",
    )
    parser.add_argument("--workers", metavar="N", type=int, default=2, help="analyses at once (default 2)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument(
        "--listen",
        metavar="ADDR",
        default="127.0.0.1",
        help="address to listen on (default 127.0.0.1); beyond loopback with --key-file and --public-url only",
    )
    parser.add_argument(
        "--key-file",
        metavar="FILE",
        type=Path,
        help="the API keys to let in, one a line (default: one made at random and kept with the data)",
    )
    parser.add_argument(
        "--public-url",
        metavar="URL",
        help="where clients reach it, https://HOST[/PREFIX] of a proxy that ends TLS: signed URLs are made with it",
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        help="where tasks, archives and the key are kept (default: the user's state)",
    )
    parser.add_argument(
        "--rate-limit",
        metavar="N",
        help='counted requests per key and hour; "off" for none (default: off; with --replay 100, as hosted)',
    )


def run(args: argparse.Namespace, context: Context) -> int:
    from scangate.local import server
    from scangate.local.config import ServiceConfig

    config = ServiceConfig(
        data_dir=context.cwd / args.data if args.data else state_dir() / "serve",
        replay_dir=context.cwd / args.replay if args.replay else None,
        listen=args.listen,
        public_url=args.public_url,
        port=args.port,
        keys=_keys(context.cwd / args.key_file, context) if args.key_file else (),
        workers=args.workers,
        rate_limit=_limit(args.rate_limit or ("100" if args.replay else "off")),
    )
    if config.replay_dir is None:
        from scangate.cli import local

        local.require(context, "serve without --replay")

    def announce(service: server.EmbeddedService) -> None:
        reached = "" if service.url == service.bound_url else f", for clients at {service.url}"
        context.say(f"scangate: the embedded service listens on {service.bound_url}{reached}; Ctrl-C ends it.")
        context.say("scangate: use it with:")
        context.stdout.write(f"export SCANGATE_API_URL={shlex.quote(service.url)}\n")
        context.stdout.write(f"export SCANGATE_API_KEY_FILE={shlex.quote(str(service.key_file))}\n")
        context.stdout.flush()

    server.run(config, announce)
    return ExitCode.PASS


def _limit(text: str) -> int | None:
    if text == "off":
        return None
    if not text.isdecimal():
        raise UsageError(f"--rate-limit {text}: not a number.", 'Write how many requests an hour, or "off".')
    return int(text)


def _keys(path: Path, context: Context) -> tuple[str, ...]:
    """One a line; empty lines and those that start with "#" are passed over. Raises UsageError."""
    try:
        content = read_bounded(path, MAX_KEY_FILE_BYTES, may_be_pipe=True)
    except Unreadable as exc:
        raise UsageError(f"--key-file {path}: it {exc.reason}.", "Name a file with a key in each line.") from exc
    if content.is_open_to_all:
        context.warn(f"{path} is open to every user of this machine; chmod 600 closes it.")
    lines = [line.strip() for line in content.data.decode("latin-1").splitlines()]
    keys = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not keys:
        raise UsageError(f"--key-file {path}: there is no key in it.", "Write one, say: openssl rand -hex 32")
    if short := [number for number, line in enumerate(lines, 1) if line in keys and len(line) < MIN_KEY_CHARACTERS]:
        raise UsageError(
            f"--key-file {path}:{short[0]}: a key of fewer than {MIN_KEY_CHARACTERS} characters can be guessed.",
            "Write a random one, say: openssl rand -hex 32",
        )
    return keys
