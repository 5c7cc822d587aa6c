"""Questions to your own articles, answered in verbatim quotes with citations, offline and in one process."""

__version__ = "0.1.0"
