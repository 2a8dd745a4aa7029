"""Moving a running application from one stage of CQRS to the next, and back.

`transition` decides how far the move has come, `comparison` asks both sides the same queries,
`evolution` is the application that every process runs meanwhile.
"""
