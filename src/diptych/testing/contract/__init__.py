"""Contract suites: the guarantees of a port as tests, for everybody who writes an adapter.

One suite per port, enrolled by deriving a class and saying how to make the adapter: `event_log`
(EventLogContract, InlineContract), `read_store` (ReadStoreContract), `standings`
(StandingsContract). A test's name begins with the
number of the guarantee it tests. No test is ever skipped: where an adapter says that it lacks an
ability, the tests ask it to refuse. `faulty` has stores that are broken on purpose, with which we
show that the suites notice; `verdicts` runs a suite without a test runner.

The suites need pytest with anyio's plugin (part of anyio) and nothing else.
"""

import pytest

pytest.register_assert_rewrite(
    "diptych.testing.contract.event_log",
    "diptych.testing.contract.read_store",
    "diptych.testing.contract.standings",
    "diptych.testing.contract.suite",
)
