"""The suite is itself tested: bugs that others have shipped are put back, and it must notice each.

`bugs` are the patches, one function each; `bug` says what is known of one; `patching` changes
running code and SQL texts; `plugin` puts a bug into one run of pytest; `running` runs the few tests
that must fail, and judges why they did. Product code is never touched: a patch lives as long as the
process of its run.

    python -m tests.mutation                all of them, with a table and the kill rate
    python -m tests.mutation --fast         those that `make test` runs
    python -m tests.mutation no_fence_...   some
    python -m tests.mutation --page         write docs/reference/bugs-we-would-catch.md anew
"""
