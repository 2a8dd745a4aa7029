"""The numbers: metrics, spans and health of an application, for whoever watches it run.

An edge: nothing inside knows of it, and an application that is not instrumented pays nothing for
it. Reading order: names (every metric), instrument (how an application gets them), look (what is
asked of its stores), collector, spans, health, deadline, serving.

`names` and `health` need nothing. The rest needs `pip install 'diptych[telemetry]'`.
"""
