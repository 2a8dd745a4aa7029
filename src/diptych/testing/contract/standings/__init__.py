"""The suite of the port Standings, which every read store has.

`StandingsContract` is what an adapter is enrolled with, as with ReadStoreContract. Its tests:
`leases` (G1, G2), `parking` (G3), `generations` (G4, G5), `lasting` (G6, G7). The tests are written
in the words of the suite `read_store`, and in a few more, which are in `words`.
"""

from __future__ import annotations

from diptych.testing.contract.standings.generations import Generations
from diptych.testing.contract.standings.lasting import Lasting
from diptych.testing.contract.standings.leases import Leases
from diptych.testing.contract.standings.parking import Parking

__all__ = ["StandingsContract"]


class StandingsContract(Leases, Parking, Generations, Lasting):
    """Every guarantee of standings, as tests. Enrol an adapter with two methods:

    ```python
    class TestMyStandings(StandingsContract):
        async def make_store(self) -> ReadStore:
            return MyReadStore(self.folder / "rows.db")

        async def reopen(self, store: ReadStore) -> ReadStore | None:
            return MyReadStore(self.folder / "rows.db")
    ```
    """
