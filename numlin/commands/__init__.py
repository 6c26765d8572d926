"""The command line's commands, one file each: `options(parser)` declares, `run(options)` does.

A command loads when it is asked for. What several share is in `shared`.
"""

COMMANDS = {
    "reproduce": "run the article from data to figures",
    "figures": "draw the article's figures, or those of one model",
    "check": "verify every gradient by finite differences",
    "data": "fetch and verify MNIST or its like, and say what is there",
    "train": "train one model and save it",
    "evaluate": "clean and robust errors of a saved model",
    "attack": "attack test images with a saved model",
    "optimum": "find and certify the global minimum of a robust loss",
    "verify": "check a certificate against the data, in integers",
    "learn": "exercises from the margin to the proof, graded by the gradient checker",
}
