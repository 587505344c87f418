"""A PostgreSQL URL taken apart: what the driver gets, and what may be shown of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from core.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_SCHEMA = "public"

_SCHEME = re.compile(r"postgres(ql)?(\+\w+)?://")
_SEARCH_PATH = re.compile(r"(?:-c\s*|--)search_path=((?:\\.|[^\s\\])+)")

_UNUSABLE = (
    "This is not a database URL that can be used. Write it as "
    "postgresql://user@host:port/database, with every special character as %XX."
)

# A password can hide in more places of a URL than one would think, so only parts that are known to
# hold none are ever shown.
_SHOWN = (
    *("hostaddr", "service", "passfile", "target_session_attrs"),
    *("sslmode", "sslrootcert", "sslcert", "sslkey"),
)

# A server that cannot be reached, and a connection whose other end has silently gone, must be
# noticed within seconds; the operating system's own limits are minutes to hours.
_DEFAULTS = {
    "fallback_application_name": "stockyard",
    "connect_timeout": "10",
    "tcp_user_timeout": "15000",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}


def is_url(location: object) -> bool:
    """Whether it is written as a database URL rather than as the path of a file."""
    return isinstance(location, str) and _SCHEME.match(location) is not None


@dataclass(frozen=True, slots=True)
class Address:
    """Where a PostgreSQL cache is. `conninfo` is for the driver alone: it may hold a password."""

    conninfo: str = field(repr=False)
    location: str
    name: str
    schema: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """The parts of a libpq URL; raises StoreUnavailable with a sentence.

        The schema is the first one of a `search_path` among the URL's options, else `public`: never
        what a role or a server happens to have as its default, because two users of one cache must
        not end up with two.
        """
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict, make_conninfo

        try:
            given = conninfo_to_dict(_strict(url))
        except (ProgrammingError, ValueError):
            # The driver quotes what it stumbles over, and that may be the password.
            raise StoreUnavailable(_UNUSABLE) from None
        parameters = {name: str(value) for name, value in given.items() if value is not None}
        if _is_torn(parameters):
            raise StoreUnavailable(_UNUSABLE)
        schema = _schema(parameters.get("options", ""))
        return cls(
            conninfo=make_conninfo(**{**_DEFAULTS, **parameters, "client_encoding": "UTF8"}),
            location=_location(parameters, schema),
            name=_name(parameters),
            schema=schema,
        )


def _strict(url: str) -> str:
    """The URL as the driver wants it: it knows two schemes, and no bare `=` within a value, though
    everybody writes `?options=-csearch_path=name`."""
    base, mark, query = _SCHEME.sub("postgresql://", url, count=1).partition("?")
    pairs = (pair.partition("=") for pair in query.split("&"))
    values = (name + equals + value.replace("=", "%3D") for name, equals, value in pairs)
    return base + mark + "&".join(values)


def _is_torn(parameters: Mapping[str, str]) -> bool:
    """Whether a bare `@`, `:` or `/` in the password has put a piece of it somewhere else."""
    port = parameters.get("port", "").replace(",", "")
    places = parameters.get("host", "") + parameters.get("dbname", "")
    return "@" in places or not (port.isascii() and (port.isdigit() or not port))


def _schema(options: str) -> str:
    found = _SEARCH_PATH.search(options)
    if found is None:
        return DEFAULT_SCHEMA
    first = re.sub(r"\\(.)", r"\1", found[1]).split(",")[0].strip()
    # As in SQL: without quotes the case of a name does not count.
    return first.strip('"') if first.startswith('"') else first.lower()


def _as_option(schema: str) -> str:
    if re.fullmatch(r"[a-z_][a-z0-9_]*", schema):
        return schema
    return re.sub(r"([\\\s])", r"\\\1", f'"{schema}"')


def _location(parameters: Mapping[str, str], schema: str) -> str:
    host, user = parameters.get("host", ""), parameters.get("user", "")
    port, shown = parameters.get("port", ""), {}
    if "," in host or host.startswith("/"):
        # Several hosts, or the folder of a socket, do not fit between @ and /.
        shown = {"host": host, "port": port}
        host = port = ""
    if ":" in host:
        host = f"[{host}]"
    shown.update({name: parameters[name] for name in _SHOWN if name in parameters})
    if schema != DEFAULT_SCHEMA:
        shown["options"] = f"-csearch_path={_as_option(schema)}"
    where = (f"{quote(user, safe='')}@" if user else "") + host + (f":{port}" if port else "")
    more = {name: value for name, value in shown.items() if value}
    query = urlencode(more, quote_via=quote, safe="/")
    database = quote(parameters.get("dbname", ""), safe="")
    return f"postgresql://{where}/{database}" + (f"?{query}" if query else "")


def _name(parameters: Mapping[str, str]) -> str:
    database = parameters.get("dbname") or parameters.get("user") or "of your own name"
    host = parameters.get("host", "")
    return f"the database {database}" + ("" if not host or host[0] == "/" else f" on {host}")
