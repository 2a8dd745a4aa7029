"""Where the time of this process goes, function by function."""

import cProfile
import pstats

from benchmarks.measuring import Sample, Variant

LINES = 40


class Profiles:
    """The profiles of all variants whose name holds `words`.

    A profiled run is up to twice as slow: believe its shares, not its rate.
    """

    def __init__(self, words: str) -> None:
        self._words = words
        self._profiles: dict[str, cProfile.Profile] = {}

    def of(self, benchmark: str, variant: str, run: Variant) -> Variant:
        """Give the variant, profiled if it is meant."""
        if self._words not in variant:
            return run
        profile = self._profiles.setdefault(f"{benchmark}: {variant}", cProfile.Profile())

        def profiled() -> Sample:
            profile.enable()
            try:
                return run()
            finally:
                profile.disable()

        return profiled

    def print(self) -> None:
        """Print the most expensive functions of each, by the time spent in them alone."""
        for name, profile in self._profiles.items():
            print(f"\n{name}")
            pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(LINES)
