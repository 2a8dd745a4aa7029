"""Tags that a decision looks for: one that no event carries would find nothing, without a word."""

from __future__ import annotations

from collections.abc import Sequence

from diptych.errors import ConfigurationError
from diptych.messages.registry import Registry

__all__ = ["check_tags"]


def check_tags(registry: Registry, types: Sequence[type], tags: Sequence[str]) -> None:
    """Raise ConfigurationError for a tag that no event of these types (none: of any) carries."""
    if isinstance(tags, str):
        raise ConfigurationError(f"tags is a list: work.events(tags=[{tags!r}]).")
    known = [registry.of(cls).identity for cls in types] or [one.identity for one in registry]
    fields = sorted({field for one in known for field in one.tags})
    for tag in tags:
        if tag.partition(":")[0] not in fields or ":" not in tag:
            among = ", ".join(one.name for one in known)
            raise ConfigurationError(
                f"no event is tagged {tag!r}: a tag is field:value, and {among} have the tag "
                f"fields {', '.join(fields) or 'none'}. Name the field in tags=(...) of the "
                "event's class."
            )
