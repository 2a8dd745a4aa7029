"""The bugs: `log` and `sqlite_log` break the hinge, `commands` the left panel, `projections`,
`parking`, `leases` and `stores` what keeps the panels in step, `reading` the right panel,
`handlers` what is done outside.
"""

from tests.mutation.bug import BUGS
from tests.mutation.bugs import (  # importing registers
    commands,
    handlers,
    leases,
    log,
    parking,
    projections,
    reading,
    sqlite_log,
    stores,
)

__all__ = ["BUGS", "commands", "handlers", "leases", "log", "parking", "projections", "reading"]
__all__ += ["sqlite_log", "stores"]
