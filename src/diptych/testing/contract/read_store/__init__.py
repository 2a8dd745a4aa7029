"""The suite of the port ReadStore.

`ReadStoreContract` is what an adapter is enrolled with. Its tests: `writing` (G1, G2, G3, G8),
`rows` (G4, G6), `finding` (G5), `searching` (G7), `abilities` (G9, and own SQL), `fencing` (G11,
G12); `viewing` (G10) is a suite of its own. `opening` says how tests come to a store, `words` is
the language they are written in, with the read models they keep.
"""

from __future__ import annotations

from diptych.testing.contract.read_store.abilities import Abilities
from diptych.testing.contract.read_store.fencing import Fencing
from diptych.testing.contract.read_store.finding import Finding
from diptych.testing.contract.read_store.rows import Rows
from diptych.testing.contract.read_store.searching import Searching

__all__ = ["ReadStoreContract"]


class ReadStoreContract(Abilities, Fencing, Rows, Finding, Searching):
    """Every guarantee of a read store, as tests. Enrol an adapter with two methods:

    ```python
    class TestMyReadStore(ReadStoreContract):
        async def make_store(self) -> ReadStore:
            return MyReadStore(self.folder / "rows.db")

        async def reopen(self, store: ReadStore) -> ReadStore | None:
            return MyReadStore(self.folder / "rows.db")
    ```

    A store with SQL of another dialect sets `sql_schema` and the other `sql_` attributes.
    """
