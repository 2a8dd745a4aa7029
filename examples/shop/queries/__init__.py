"""The right panel: it answers. One file per screen, from top to bottom: what it shows (read model),
how events become that (projection), what can be asked (query), and who answers (handler).
"""
