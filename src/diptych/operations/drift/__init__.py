"""Are the read models what the log says, and if not, which rows are wrong: found and mended.

Read in this order: `refold` (the log folded again for some keys), `comparing` (rows beside the
refold, while both move), `judging` (a doubtful row is folded afresh before it is called wrong),
`verifying` (all of it), `repair` (only what is wrong), `patrol` (all of it for ever, slowly), and
`drift`, which offers it to an application.
"""
