"""`numlin learn`: exercises to be solved in an editor, graded by mathematics."""

import shlex
import textwrap
from pathlib import Path

from numlin import learn


def options(parser):
    """Declare the options of `numlin learn`."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=("list", "check", "hint"),
        default="list",
        help="list: how far each exercise is, and what comes next (default); check: grade; hint: "
        "give hint K, 1 to 3, of exercise N",
    )
    parser.add_argument(
        "numbers", nargs="*", type=int, metavar="N", help="exercises (default: all)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="the folder of the exercises; list writes what it lacks and overwrites nothing "
        f"(default: the current folder if it holds exercises, else {learn.FOLDER})",
    )


def run(options):
    """List, grade or hint; exit code 1 if an exercise that was to be graded is not right."""
    if options.action == "hint":
        return _hint(*options.numbers[:2])
    here = any(Path(f"{name}.py").exists() for name in learn.names())
    folder = options.out or (Path() if here else learn.FOLDER)
    chosen = _chosen(options.numbers)
    if options.action == "check" and not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; name yours with --out DIR, or go there")
    if options.out and options.action == "list":
        print(f"{folder}: {len(learn.write(folder))} files written; what was there stays\n")
    graded = learn.grade_all(folder, chosen)
    if options.action == "list":
        print(learn.listing(graded) + "\n")
    else:
        for name, found in graded.items():
            print(learn.verdict(folder / f"{name}.py", found) + "\n")
            if options.numbers and found["state"] == "right":
                print(learn.comparison(folder / f"{name}.py", found) + "\n")
    unsolved = [name for name, found in graded.items() if found["state"] != "right"]
    right = f"{len(graded) - len(unsolved)} of {len(graded)} right."
    after = learn.names()[learn.number(chosen[-1]) :]
    print(f"{right} {_next(folder, options.out, (unsolved or after)[:1])}")
    return 1 if options.action == "check" and unsolved else 0


def _hint(number=None, step=1):
    if number is None or step not in (1, 2, 3):
        raise ValueError("hint: expected the number of an exercise and, after it, 1, 2 or 3")
    print(textwrap.fill(learn.hints(_chosen([number])[0])[step - 1], 100))
    if step < 3:
        print(f"More: numlin learn hint {number} {step + 1}")


def _chosen(numbers):
    """The names of exercises of these numbers, of all if there are none."""
    names = {learn.number(name): name for name in learn.names()}
    for number in numbers:
        if number not in names:
            raise ValueError(f"exercise: found {number}, expected 1 to {max(names)}")
    return [names[number] for number in numbers or names]


def _next(folder, out, names):
    """What to do now: the exercise in `names`, if there is one."""
    out = f" --out {shlex.quote(str(out))}" if out else ""
    if not folder.is_dir():
        return f"Next: numlin learn --out {folder}, which writes the exercises."
    if not names:
        return f"How far all are: numlin learn{out}"
    n, file = learn.number(names[0]), folder / f"{names[0]}.py"
    return f"Next: edit {file}, then numlin learn check {n}{out} (stuck: numlin learn hint {n})."
