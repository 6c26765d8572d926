"""Benchmarks of numlin: `python -m bench --help`, from the top of a checkout.

Every number comes with what it takes to doubt it: the result is checked before it is timed, all
cases of a group take turns in random order, raw samples are kept, and the machine's own limits
are measured in the same rounds.
"""
