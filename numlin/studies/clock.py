"""Seconds of each stage of a study."""

from time import perf_counter


class Clock:
    """Stages are closed by `lap`, which names them; `seconds` has one entry for each."""

    def __init__(self):
        self.seconds, self._since = {}, perf_counter()

    def lap(self, stage):
        """Close the stage that began with the previous lap."""
        now = perf_counter()
        self.seconds[stage], self._since = max(0.0, now - self._since), now  # a clock may be set
