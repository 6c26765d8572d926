"""Two classes of images as X and y: the IDX format, MNIST found by hash, synthetic digits."""
