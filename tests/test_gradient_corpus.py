"""The gradient checker on functions that it was not made for: who passes, who fails, how surely."""

from collections import Counter

import numpy as np
import pytest
from gradient_corpus import RIGHT, WRONG

from numlin.gradcheck import check_gradient


@pytest.fixture(scope="module")
def reports():
    """The report of every pair, right and wrong."""
    return [
        [
            (pair, check_gradient(pair.f, pair.gradient, pair.x, pair.kinks, **pair.options))
            for pair in pairs
        ]
        for pairs in (RIGHT, WRONG)
    ]


def told(found, verdict):
    return [f"{p.kind}, {p.name}: {report}" for p, report in found if report.verdict == verdict]


def test_the_corpus_is_large_and_has_many_kinds():
    assert min(len(RIGHT), len(WRONG)) >= 120
    assert min(Counter(pair.kind for pair in RIGHT).values()) >= 2
    assert len({pair.kind for pair in WRONG}) >= 14
    assert len({pair.kind + pair.name for pair in RIGHT + WRONG}) == len(RIGHT + WRONG)


def test_no_right_gradient_fails(reports):
    assert told(reports[0], "fail") == []


def test_no_wrong_gradient_passes(reports):
    assert told(reports[1], "pass") == []


@pytest.mark.parametrize("which", [0, 1], ids=["right", "wrong"])
def test_few_are_inconclusive_and_each_says_why(reports, which):
    undecided = [report for _, report in reports[which] if report.verdict == "inconclusive"]
    assert len(undecided) <= 0.1 * len(reports[which]), told(reports[which], "inconclusive")
    assert all(report.worst.reason or report.worst.kinks for report in undecided)


def test_f_is_quiet_and_x_stays(recwarn):
    for pair in RIGHT:
        before = pair.x.copy()
        if pair.kind == "domains":
            check_gradient(pair.f, pair.gradient, pair.x)
        assert np.array_equal(pair.x, before)
    assert not recwarn.list
