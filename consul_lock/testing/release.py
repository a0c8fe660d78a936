"""What differs between the releases of Consul that the model knows.

Locks are built on what is the same in all of them: the rules of sessions, lock-delay, transactions
and indexes.  What changed is the wording of errors, some status codes, and one rule that a
client may come to rely on by mistake: how a blocking read of something that is not there ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from consul_lock.testing.responses import JSON

_TAIL = ',"Index":0,"LastContact":0,"KnownLeader":true,"ConsistencyLevel":""'
_MORE = ',"NotModified":false,"Backend":0,"ResultsFilteredByACLs":false'
_FORMAT = r"[a-zA-Z0-9,_./\-?&=]+"
_TRAVERSAL = re.compile(r"(^|/)\.\.(/|$)|\.\.%2f|%2e%2e(/|%2f)", re.IGNORECASE)


@dataclass(frozen=True)
class Release:
    """One release; the defaults are those of 1.8."""

    name: str
    version: str
    """What an agent says that it is."""
    missing_waits: bool = False
    """A blocking read of a key or session that is not there waits until there is one, or its time
    is out.  Before, any write to its part of the radix tree ended it."""
    verbs_first: bool = False
    """The verbs of a transaction are looked at before anything is done."""
    get_or_empty: bool = False
    """A transaction may have the verb ``get-or-empty``."""
    operations_max: int = 64
    """Of one transaction."""
    any_session_id: bool = False
    """Who asks for a session whose id is no UUID is answered that there is none."""
    destroys_known: bool = False
    """The end of a session that is not there is no Raft entry."""
    cleans_decoded: bool = True
    """A path is clean or not when its percent signs are decoded; else as it came."""
    manual: str = "https://www.consul.io/docs/agent/options.html"
    """Where the text that refuses a large body points to."""
    conflict_end: str = ""
    """After the text about parameters that exclude each other."""
    alias: str = "."
    """What comes before the name of a field of a session that has the wrong type."""
    read_tail: str = _TAIL
    """In a transaction that only reads, after the results."""
    read_refused: str = _TAIL
    """The same, if it was refused before anything was read."""
    empty: Mapping[str, str] = field(default_factory=dict)
    """The headers of an answer that has no body."""
    bad_request: str = "Bad request: "
    """Before the text that refuses a namespace."""
    session_refused: str = ""
    """Before the text of a session that cannot be created."""
    write_refused: str = ""
    """Before the text of a write to a key that cannot be done."""
    explains_paths: bool = False
    """An unknown path is refused in words."""
    knows_ids: bool = False
    """A check or service that is not there cannot be changed or removed (404)."""
    shows_more: bool = False
    """A service has its datacenter, a check when it is made: a TTL check never."""
    default_headers: bool = False
    """Answers have the default policy of ACLs, and reads what answered them."""
    moved: int = 301
    """The status that redirects from a path that is not clean."""
    names: str = "any"
    """Which names keys may have: "any", those of a "format", or all but paths that lead "up"."""

    def name_refused(self, key: str) -> str | None:
        """Why a key may not have this name; None if it may."""
        if self.names == "format" and (not re.fullmatch(_FORMAT, key) or ".." in key):
            shown = f"^{_FORMAT}$".replace("\\", "\\\\")
            return f'invalid key name, keys should respect the "{shown}" format'
        if self.names == "up" and (key != key.strip(" ") or _TRAVERSAL.search(key)):
            return "invalid key name"
        return None


_OLD = Release("1.8", "1.8.7")
_NEW = replace(
    _OLD,
    name="1.21",
    version="1.21.4",
    missing_waits=True,
    verbs_first=True,
    get_or_empty=True,
    operations_max=128,
    any_session_id=True,
    destroys_known=True,
    cleans_decoded=False,
    manual="https://developer.hashicorp.com/docs/agent/config/config-files",
    conflict_end="\n",
    alias=".Alias.",
    read_tail=_TAIL.replace('"Index":0', '"Index":1') + _MORE,
    read_refused=_TAIL.replace("true", "false") + _MORE,
    empty=JSON,
    bad_request="",
    session_refused="apply failed: ",
    write_refused="raft apply failed: ",
    explains_paths=True,
    knows_ids=True,
    shows_more=True,
    default_headers=True,
    moved=307,
)

NEWEST = _NEW.name

RELEASES = {
    release.name: release
    for release in (
        _OLD,
        _NEW,
        replace(_NEW, name="1.21.5", version="1.21.5", names="format"),
        replace(_NEW, name="1.22", version="1.22.0", names="up"),
    )
}
