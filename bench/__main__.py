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

AGAINST = 15  # processes for each side
HERE = Path(__file__).parent.parent

GROUPS = {
    "kernels": "epochs of the kernels: implementation, storage, batch size, eps",
    "ladder": "from the naive compiled loop to the fast kernel, rung by rung",
    "peers": "the same epoch by NumPy, scikit-learn, PyTorch and JAX",
    "many": "32 models on two threads against one by one",
    "screening": "rows read and time saved by exact screening",
    "radii": "the robust-accuracy curve from radii against 101 attacks",
    "convergence": "suboptimality against time",
    "optimum": "the global minimum against a general LP solver",
    "startup": "compiling, first call from the cache on disk, steady state",
    "checkers": "gradient checkers on functions with right and wrong gradients",
    "scale": "an epoch from a memory-mapped file of --rows digits",
}


def main(argv=None):
    """Run the groups asked for; exit code 1 if a comparison finds a regression, 2 for an error."""
    options = _parser().parse_args(argv)
    os.environ.update(THREADS)
    from bench import processes, report
    from bench.timing import WrongResult
    from numlin.support.files import write_json

    old, regressed = None, False
    try:
        if options.compare:
            old = report.read(options.compare)
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
        if options.against:
            with processes.checkout(options.against) as there:
                n = options.replicates or AGAINST
                old, new = processes.measure([there, HERE], n, _child(options))
        elif options.replicates or old:
            n = options.replicates or max(len(old), processes.LEAST)
            (new,) = processes.measure([HERE], n, _child(options))
        else:
            new = [run(options)]
        result = report.pooled(new) if len(new) > 1 else new[0]
        if len(new) > 1:
            for group, rows in result["groups"].items():
                print(report.show(group, rows), flush=True)
        if options.json:
            write_json(options.json, result)
        if options.draw:
            from bench.draw import draw

            draw(result, options.draw)
        if old:
            text, regressed = report.compared(old, new)
            print(text)
    except (WrongResult, OSError, ValueError) as error:
        print(f"bench: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    return int(regressed)


def run(options):
    """Measure the groups in this process, show each when it is done, and return the result."""
    from bench import data, report
    from bench.machine import environment

    digits = data.load(options.data_dir)
    result = {
        "environment": environment(),
        "quick": options.quick,
        "data": digits.name,
        "groups": {},
    }
    print(f"{digits.name}: {len(digits.y):,} rows, {result['environment']['cpu']}")
    for group in list(GROUPS) if "all" in options.groups else options.groups:
        rows = import_module(f"bench.{group}").rows(digits, options)
        result["groups"][group] = rows
        print(report.show(group, rows), flush=True)
    return result


def _child(options):
    """The command line with which a process of its own measures the same."""
    groups = [options.groups] if isinstance(options.groups, str) else options.groups
    command = [*groups, *(["--quick"] if options.quick else [])]
    if options.kernel:
        command += ["--with", str(Path(options.kernel).resolve())]
    for name in ("data_dir", "rows", "folder"):
        if (value := getattr(options, name)) is not None:
            value = value.resolve() if isinstance(value, Path) else value
            command += [f"--{name.replace('_', '-')}", str(value)]
    return command


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
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of MNIST's files")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write it all, raw samples too")
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="OLD",
        help="an earlier --json, best of --replicates: faster, slower or no difference; exit code "
        "1 if a row of numlin's is slower",
    )
    parser.add_argument(
        "--against",
        metavar="REV",
        help="compare with another revision, or a folder, measured in turn with this one",
    )
    parser.add_argument(
        "--replicates",
        type=int,
        metavar="N",
        help=f"measure in so many processes, one after the other (with --against: {AGAINST} each)",
    )
    parser.add_argument(
        "--with",
        dest="kernel",
        metavar="FILE:FUNCTION",
        help="kernels: check and time a kernel of your own in the same rounds",
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
