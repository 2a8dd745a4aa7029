"""Messages of pgoutput written by hand, and a server that keeps a slot in memory."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
