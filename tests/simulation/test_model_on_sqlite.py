"""The log and the read store in SQLite do what the model does."""

from __future__ import annotations

import os
import shutil
import tempfile

from tests.simulation.model import PARTS, StoreAgainstModel, with_settings

from diptych import App


class OnSqlite(StoreAgainstModel):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()

    def make_app(self) -> App:
        return App("model", PARTS, write=f"sqlite:///{self.folder}/model.db")

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


EXAMPLES = int(os.environ.get("DIPTYCH_EXAMPLES", "60")) // 5
TestSqliteAgainstTheModel = with_settings(OnSqlite, EXAMPLES, 20)
