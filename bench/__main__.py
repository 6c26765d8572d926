"""Time numlin, its peers and this machine; see `python -m bench --help`."""

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

THREADS = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}
"""One thread for everybody: libraries read this when they load, so it is set before they do."""

GROUPS = {
    "kernels": "epochs of the kernels: implementation, storage, batch size, eps",
    "peers": "the same epoch by NumPy, scikit-learn, PyTorch and JAX",
    "many": "32 models on two threads against one by one",
    "screening": "rows read and time saved by exact screening",
    "radii": "the robust-accuracy curve from radii against 101 attacks",
    "convergence": "suboptimality against time",
    "optimum": "the global minimum against a general LP solver",
    "startup": "compiling, first call from the cache on disk, steady state",
    "scale": "an epoch from a memory-mapped file of --rows digits",
}


def main(argv=None):
    """Run the groups asked for; exit code 1 if --compare finds a regression, 2 for an error."""
    options = _parser().parse_args(argv)
    os.environ.update(THREADS)
    from bench import data, report
    from bench.machine import environment
    from bench.timing import WrongResult
    from numlin.support.files import write_json

    chosen = list(GROUPS) if "all" in options.groups else options.groups
    try:
        old = report.read(options.compare) if options.compare else None
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
        digits = data.load(options.data_dir)
        result = {
            "environment": environment(),
            "quick": options.quick,
            "data": digits.name,
            "groups": {},
        }
        print(f"{digits.name}: {len(digits.y):,} rows, {result['environment']['cpu']}")
        for group in chosen:
            rows = import_module(f"bench.{group}").rows(digits, options)
            result["groups"][group] = rows
            print(report.show(group, rows), flush=True)
        if options.json:
            write_json(options.json, result)
        if options.draw:
            from bench.draw import draw

            draw(result, options.draw)
        text, regressed = report.compare(old, result) if old else ("", False)
        print(text, end="\n" * bool(text))
    except (WrongResult, OSError, ValueError) as error:
        print(f"bench: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    return int(regressed)


def _parser():
    groups = "\n".join(f"  {name:12}{purpose}" for name, purpose in GROUPS.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=f"{__doc__.partition(';')[0]}.\n\ngroups:\n{groups}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "groups",
        nargs="*",
        default="all",
        choices=[*GROUPS, "all"],
        metavar="GROUP",
        help="default: all",
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds: under a minute in all")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of MNIST's files")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write it all, raw samples too")
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="OLD",
        help="an earlier --json: faster, slower or no difference; exit code 1 if a row is slower",
    )
    parser.add_argument("--draw", type=Path, metavar="DIR", help="draw the figures into DIR")
    parser.add_argument("--rows", type=int, help="of scale (default: 810000, quick: 81000)")
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="where scale puts its file for a while (default: the system's own)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
