"""Data preparation, training, evaluation and export of the reader: a 22 M-parameter cross-encoder."""
