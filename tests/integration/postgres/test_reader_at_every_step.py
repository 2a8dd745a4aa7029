"""What our own reader reads between any two steps of those who append, as a subscription reads."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from diptych.adapters.postgres.event_log import PostgresEventLog
from diptych.adapters.postgres.statements import sql
from diptych.events.log import ANY_VERSION
from diptych.testing.permutations import Party, permute
from diptych.testing.postgres_connections import PostgresConnections
