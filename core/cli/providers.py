"""Providers: how each stands with us, its key, and a test of it."""

from __future__ import annotations

import argparse
import getpass
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from core.cli import arguments
from core.cli.output import DONE, as_json, moment, say, watch
from core.errors import BadInput, SettingsError
from core.providers.plans import PROVIDERS
from core.runs import RunControl

if TYPE_CHECKING:
    from core.model import ProviderReport
    from core.services import Services


def add(commands: Any) -> None:
    """Make the commands."""
    providers = commands.add_parser("providers", help="state, quota and keys of the providers")
    arguments.add_json(providers)
    providers.set_defaults(command=_providers)
    words = providers.add_subparsers(metavar="WORD")
    test = words.add_parser("test", help="one cheap question: is the key accepted?")
    key = words.add_parser("key", help="store a provider's key, asked for without showing it")
    key.add_argument(
        "--file", action="store_true", help="without a keyring, use a file that only you can read"
    )
    key.add_argument("--forget", action="store_true", help="delete the stored key instead")
    for word, command in ((test, _test), (key, _key)):
        word.add_argument("provider", choices=list(PROVIDERS), metavar="NAME")
        word.set_defaults(command=command)
    arguments.add_json(test)


def _providers(services: Services, options: argparse.Namespace) -> int:
    reports = services.providers()
    if options.json:
        return as_json([asdict(one) for one in reports])
    for one in reports:
        say(_report(one, services.clock.now()))
    return DONE


def _report(one: ProviderReport, now: float) -> str:
    text = f"{one.title:<14} {one.plan}; {one.requests_today:,} requests today"
    if one.quota is not None:
        text += f" of {one.quota:,}"
    text += f"; key: {one.key}"
    if one.blocked_until is not None and one.blocked_until > now:
        text += f"; left alone until {moment(one.blocked_until)}: {one.reason}"
    return text


def _test(services: Services, options: argparse.Namespace) -> int:
    control = RunControl(services.clock)
    sentence = watch(
        lambda: services.test_provider(options.provider, control),
        control,
        lambda: f"asking {PROVIDERS[options.provider].title}",
        quiet=options.json,
    )
    if options.json:
        return as_json({"provider": options.provider, "answer": sentence})
    say(sentence)
    return DONE


def _key(services: Services, options: argparse.Namespace) -> int:
    facts = PROVIDERS[options.provider]
    if not facts.needs_key:
        raise BadInput(f"{facts.title} needs no key.")
    if options.forget:
        say(services.forget_key(options.provider))
        return DONE
    key = _ask(f"{facts.title} key: ")
    secret = _ask(f"{facts.title} secret: ") if facts.needs_secret else ""
    try:
        say(services.set_key(options.provider, key, secret, allow_file=options.file))
    except SettingsError as error:
        if options.file:
            raise
        raise SettingsError(
            f"{error} With --file it is kept in a file that only you can read."
        ) from error
    return DONE


def _ask(prompt: str) -> str:
    """A secret from the terminal, unseen, or a line of standard input."""
    text = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline()
    if not text.strip():
        raise BadInput("No key was given. Nothing was changed.")
    return text.strip()
