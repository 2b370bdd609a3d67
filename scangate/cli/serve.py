"""`scangate serve`: the embedded analysis service on this machine, answering with recorded reports."""

import argparse
import shlex
from pathlib import Path

from scangate.cli.context import Context
from scangate.errors import ExitCode, UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--replay", metavar="DIR", type=Path, required=True, help="directory of recorded reports to answer with"
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        help="where tasks, archives and the key are kept (default: the user's state)",
    )
    parser.add_argument(
        "--rate-limit",
        metavar="N",
        default="100",
        help='counted requests per key and hour, as the hosted service has it (default 100); "off" for none',
    )


def run(args: argparse.Namespace, context: Context) -> int:
    from scangate.local import server
    from scangate.local.config import ServiceConfig

    config = ServiceConfig(
        data_dir=context.cwd / args.data if args.data else _state_dir() / "serve",
        replay_dir=context.cwd / args.replay,
        port=args.port,
        rate_limit=_limit(args.rate_limit),
    )

    def announce(service: server.EmbeddedService) -> None:
        context.say(f"scangate: the embedded service listens on {service.url}; Ctrl-C ends it. Use it with:")
        context.stdout.write(f"export SCANGATE_API_URL={service.url}\n")
        context.stdout.write(f"export SCANGATE_API_KEY_FILE={shlex.quote(str(service.key_file))}\n")
        context.stdout.flush()

    server.run(config, announce)
    return ExitCode.PASS


def _limit(text: str) -> int | None:
    if text == "off":
        return None
    if not text.isdecimal():
        raise UsageError(f"--rate-limit {text}: not a number", 'Write how many requests an hour, or "off".')
    return int(text)


def _state_dir() -> Path:
    import platformdirs

    return Path(platformdirs.user_state_dir("scangate", appauthor=False))
