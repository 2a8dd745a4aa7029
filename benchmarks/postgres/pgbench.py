"""The direct INSERT from PostgreSQL's own load generator: the floor without Python."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.events import DATA, META, RECORDED_AT
from benchmarks.measuring import NotAvailableError, Sample
from benchmarks.order_lines import LINES_PER_CART
from benchmarks.postgres.events_table import COLUMNS, TABLE, connect
from benchmarks.postgres.server import Schema

# Streams grow to ten events, then a new one begins, as in all variants.
SCRIPT = f"""
INSERT INTO events ({", ".join(COLUMNS)}) VALUES (
    'cart-' || :client_id || '-' || (:turn)::int / {LINES_PER_CART},
    (:turn)::int % {LINES_PER_CART} + 1,
    'ItemAdded', 1, :data, :meta, {RECORDED_AT}
);
\\set turn :turn + 1
"""


def pgbench(schema: Schema, seconds: float, program: Path, clients: int) -> Sample:
    """Run the INSERT from many connections, as fast as they go."""
    if not program.exists():
        raise NotAvailableError("this PostgreSQL came without pgbench")
    parts = urlsplit(schema.url)
    asyncio.run(make_table(schema))
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(SCRIPT)
        script.flush()
        where = ["-h", parts.hostname or "", "-p", str(parts.port), "-U", parts.username or ""]
        how = ["-n", "-M", "prepared", "-c", str(clients), "-j", "2"]
        what = ["-T", str(max(1, round(seconds))), "-f", script.name, "-D", "turn=0"]
        # Sent with every INSERT, as the payload is in all variants.
        what += ["-D", f"data=\\x{DATA.hex()}", "-D", f"meta=\\x{META.hex()}"]
        done = subprocess.run(
            [program, *where, *how, *what, parts.path.strip("/")],
            env={
                **os.environ,
                "PGPASSWORD": parts.password or "",
                "PGOPTIONS": f"-c search_path={schema.name}",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    if done.returncode != 0 or found is None:
        raise RuntimeError(f"pgbench failed:\n{done.stdout}{done.stderr}")
    return Sample(float(found[1]), None, {"client": "pgbench"})


async def make_table(schema: Schema) -> None:
    """Make the table that the script writes to."""
    connection = await connect(schema)
    await connection.execute(TABLE)
    await connection.close()
