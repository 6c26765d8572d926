"""Gradient checkers on the functions of tests/gradient_corpus.py, with right and wrong gradients.

Every checker sees the same NumPy function and the same claimed gradient, at its own defaults. A
wrong gradient that passes is missed; a right one that does not is a cry of wolf; numlin may also
leave a verdict open. scipy.optimize.check_grad gives a number and no verdict: here it passes up to
1e-5 of the length of the gradient.
"""

import importlib
import sys
import warnings
from pathlib import Path

import numpy as np

from bench.timing import skipped
from numlin.gradcheck import check_gradient


def rows(data, options):
    """Rows of the group `checkers`: one for each kind of function; missing packages are skipped."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from gradient_corpus import RIGHT, WRONG

    checkers, absent = {"numlin": numlin}, []
    for package, checker in (
        ("torch", torch),
        ("jax", jax),
        ("scipy", scipy),
        ("autograd", autograd),
    ):
        try:
            importlib.import_module(package)
            checkers[package] = checker
        except ImportError as error:
            absent.append(skipped(package, f"{error}: pip install '.[peers]'"))
    every = 5 if options.quick else 1
    kinds = dict.fromkeys(pair.kind for pair in RIGHT)
    return [_row(kind, RIGHT[::every], WRONG[::every], checkers) for kind in kinds] + absent


def _row(kind, right, wrong, checkers):
    row = {"name": kind, "misses": {}, "alarms": {}, "undecided": {}}
    right, wrong = ([pair for pair in pairs if pair.kind == kind] for pairs in (right, wrong))
    for name, checker in checkers.items():
        good, bad = ([_verdict(checker, pair) for pair in pairs] for pairs in (right, wrong))
        row["misses"][name], row["alarms"][name] = bad.count("pass"), good.count("fail")
        row["undecided"][name] = (good + bad).count("inconclusive")
    return row | {"right": len(right), "wrong": len(wrong)}


def _verdict(checker, pair):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return str(checker(pair))
        except Exception:  # a checker that stops has not passed the gradient
            return "fail"


def numlin(pair):
    """pass, fail or inconclusive."""
    return check_gradient(pair.f, pair.gradient, pair.x, pair.kinks, **pair.options).verdict


def torch(pair):
    """torch.autograd.gradcheck of the pair as one torch.autograd.Function."""
    import torch

    class Claim(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.tensor(float(pair.f(x.detach().numpy())), dtype=torch.float64)

        @staticmethod
        def backward(ctx, out):
            (x,) = ctx.saved_tensors
            return out * torch.from_numpy(np.array(pair.gradient(x.detach().numpy()), float))

    x = torch.from_numpy(pair.x.copy()).requires_grad_()
    passed = torch.autograd.gradcheck(Claim.apply, (x,), raise_exception=False)
    return "pass" if passed else "fail"


def jax(pair):
    """jax.test_util.check_grads of the pair as one custom_vjp."""
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    shape = jax.ShapeDtypeStruct

    @jax.custom_vjp
    def claim(x):
        return jax.pure_callback(
            lambda v: np.float64(pair.f(np.array(v))), shape((), np.float64), x
        )

    def backward(x, out):
        found = jax.pure_callback(
            lambda v: np.array(pair.gradient(np.array(v)), float),
            shape(pair.x.shape, np.float64),
            x,
        )
        return (out * found,)

    claim.defvjp(lambda x: (claim(x), x), backward)
    check_grads(claim, (jax.numpy.asarray(pair.x),), order=1, modes=["rev"])
    return "pass"


def scipy(pair):
    """scipy.optimize.check_grad, a norm, held against 1e-5 of the gradient's."""
    from scipy.optimize import check_grad

    def flat(x):
        return np.ravel(pair.gradient(x.reshape(pair.x.shape)))

    error = check_grad(lambda x: pair.f(x.reshape(pair.x.shape)), flat, pair.x.ravel())
    return "pass" if error <= 1e-5 * np.linalg.norm(flat(pair.x.ravel())) else "fail"


def autograd(pair):
    """autograd.test_util.check_grads of the pair as one primitive."""
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    claim = primitive(lambda x: float(pair.f(x)))
    slope = primitive(lambda x: np.array(pair.gradient(x), float))
    defvjp(claim, lambda out, x: lambda g: g * slope(x))
    np.random.seed(0)  # it draws its directions from NumPy's global generator
    check_grads(claim, modes=["rev"], order=1)(pair.x.copy())
    return "pass"
