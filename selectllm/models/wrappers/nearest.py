"""Why a reply is not in the cache: what was asked that comes nearest, and how it differs. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selectllm.core.codec import canonical_json
from selectllm.core.names import listed
from selectllm.models.wrappers.asked import Fingerprint

HASHED = ("schema", "grammar")
"""Settings of which only a hash is kept."""
NAMED = {"v": "the version of request identities", "max_tokens": "max_tokens"}
ABSENT = object()


@dataclass(frozen=True, slots=True)
class Nearest:
    """The cached reply whose question is most like one, by its `key`; None if none is comparable.

    `reason`: how the two differ, as a sentence without its full stop. `fields`: the settings that
    differ, and `messages` where those do.
    """

    key: str | None
    reason: str
    fields: tuple[str, ...] = ()


class Comparison:
    """What a cache was asked, in the order that makes the nearest question quick to find."""

    def __init__(self, rows: Iterable[tuple[str, Fingerprint]]) -> None:
        self._by_messages: defaultdict[tuple[str, ...], list[tuple[str, Fingerprint]]]
        self._by_messages = defaultdict(list)
        self._groups: dict[str, _Group] = {}
        for key, row in rows:
            self._by_messages[row.messages].append((key, row))
            text = canonical_json(row.settings)
            if text not in self._groups:
                self._groups[text] = _Group(row.settings)
            self._groups[text].add(key, row)

    def nearest(self, wanted: Fingerprint) -> Nearest:
        """What comes nearest to a question that has no reply."""
        same = self._by_messages.get(wanted.messages)
        if same:
            key, row = min(same, key=lambda pair: _distance(pair[1].settings, wanted.settings))
            fields, told = _told(row.settings, wanted.settings)
            return Nearest(key, f"the same messages were asked with {told}", fields)
        model = wanted.settings.get("model")
        groups = [each for each in self._groups.values() if each.settings.get("model") == model]
        if not groups:
            return Nearest(None, self._of_no_model(model), ("model", "messages"))
        group = min(groups, key=lambda each: _distance(each.settings, wanted.settings))
        key, how = group.nearest(wanted)
        fields, told = _told(group.settings, wanted.settings)
        if not fields:
            return Nearest(key, f"the same model and settings were asked, but {how}", ("messages",))
        reason = f"the same model was asked with {told}; and {how}"
        return Nearest(key, reason, (*fields, "messages"))

    def _of_no_model(self, model: Any) -> str:
        models = sorted({str(each.settings.get("model")) for each in self._groups.values()})
        if not models:
            return "the cache holds nothing that can be compared with it"
        return f"nothing that can be compared was asked of {model}. There are: {listed(models)}"


class _Group:
    """Everything that was asked with the same settings."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self._rows: list[tuple[str, Fingerprint]] = []
        self._by_shown: dict[tuple[str, ...], int] = {}
        self._by_item: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, key: str, row: Fingerprint) -> None:
        number = len(self._rows)
        self._rows.append((key, row))
        if row.shown is not None:
            self._by_shown[row.shown] = number
            for item in set(row.shown):
                self._by_item[item].append(number)

    def nearest(self, wanted: Fingerprint) -> tuple[str, str]:
        """Its key, and how the messages differ."""
        shown = wanted.shown
        if shown is None:
            return self._rows[-1][0], "the messages differ"
        if (number := self._by_shown.get(shown)) is not None:
            key, row = self._rows[number]
            return key, f"another text showed the same items in the same order{_which(row, wanted)}"
        shared = Counter(number for item in set(shown) for number in self._by_item.get(item, ()))
        if not shared:
            return self._rows[-1][0], "no question showed any of these items"
        number, count = max(shared.items(), key=lambda pair: (pair[1], pair[0]))
        key, row = self._rows[number]
        if row.shown is not None and Counter(row.shown) == Counter(shown):
            return key, "the same items were shown in another order"
        return key, (
            f"other items were shown (at most {count} of these {len(set(shown))} were shown "
            "together)"
        )


def _which(row: Fingerprint, wanted: Fingerprint) -> str:
    """Which of the messages differ, where some are the same."""
    if len(row.messages) != len(wanted.messages):
        return f", in {len(row.messages)} messages; now there are {len(wanted.messages)}"
    pairs = zip(row.messages, wanted.messages, strict=True)
    differ = [new.partition(":")[0] for old, new in pairs if old != new]
    if len(differ) == len(wanted.messages):
        return ""
    return f": the {' and the '.join(differ)} message differs, the others are the same"


def _distance(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[bool, int]:
    names = one.keys() | other.keys()
    differing = [name for name in names if one.get(name, ABSENT) != other.get(name, ABSENT)]
    return "model" in differing, len(differing)


def _told(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """The settings that differ, and what they were and are: `temperature 0.7; now it is 0`."""
    names = sorted(
        name for name in old.keys() | new.keys() if old.get(name, ABSENT) != new.get(name, ABSENT)
    )
    told = [_one(name, old.get(name, ABSENT), new.get(name, ABSENT)) for name in names]
    return tuple(names), " and with ".join(told) or "the same settings, as far as they are kept"


def _one(name: str, old: Any, new: Any) -> str:
    called = NAMED.get(name, name)
    if old is ABSENT:
        return f"no {called}; now it is {_value(name, new)}"
    if new is ABSENT:
        return f"{called} {_value(name, old)}; now there is none"
    if _is_hashed(name, old) and _is_hashed(name, new):
        return f"another {called}"
    return f"{called} {_value(name, old)}; now it is {_value(name, new)}"


def _value(name: str, value: Any) -> str:
    if _is_hashed(name, value):
        return "set (only its hash is kept)"
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def _is_hashed(name: str, value: Any) -> bool:
    return (
        name in HASHED or name == "stop" or (name.startswith("extra.") and isinstance(value, str))
    )


def comparable(rows: Sequence[tuple[str, Fingerprint | None]]) -> list[tuple[str, Fingerprint]]:
    """Those rows that say what was asked."""
    return [(key, row) for key, row in rows if row is not None]
