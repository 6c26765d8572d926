"""Work side by side, on threads for which nobody has to wait."""

from threading import Thread


def side_by_side(function, items, n_threads):
    """[function(item) for item in items] on `n_threads` threads, the calling one among them.

    The first error of any is raised, and no further item begun. Ctrl-C is raised at once, wherever
    the other threads are: they are daemons, which do not keep a process alive. It pays where
    `function` spends its time in code that does without Python's global lock.
    """
    items = list(items)
    found, errors, todo = [None] * len(items), [], iter(range(len(items)))

    def work():
        try:
            for k in todo:
                if not errors:
                    found[k] = function(items[k])
        except BaseException as error:
            errors.append(error)

    others = [Thread(target=work, daemon=True) for _ in range(min(n_threads, len(items)) - 1)]
    for other in others:
        other.start()
    work()
    while not errors and (running := [other for other in others if other.is_alive()]):
        running[0].join()
    if errors:
        raise errors[0]
    return found
