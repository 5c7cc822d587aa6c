"""Every error that a user can meet, as one tree.

RagError                    exit 1: the message says what happened, the hint what to type next
├── ConfigError             a setting that does not exist, or has a wrong value
├── ArticleError            a file that cannot be read as an article
│   └── ArticleEmpty        one that holds no text, or nothing but a page's furniture
├── DuplicateArticle        two articles with one id
├── ArticleMissing          an id, passage or slice that the index does not hold
├── IndexMissing            no index in the folder
├── GenerationMissing       an index that has no generation to go back to
├── IndexBroken             an index that fails its own manifest, or was built with other settings
├── ModelMissing            a model that is in no folder, package or cache
├── ModelBroken             a model that is there but cannot be loaded or exported
│   └── EndpointError       a model behind HTTP that cannot be reached, breaks off, or says what is no answer
├── EndpointRefused         a model behind HTTP that takes no request: the URL, the key or the model is wrong
├── QuestionError           an empty question, or a question set that cannot be read
├── AnswersError            an answer file that cannot be read or written
└── ReportError             a report that cannot be drawn, for what draws it is not installed
"""


class RagError(Exception):
    """A failure that the user can mend: what happened, and the next command to type."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(RagError):
    """A setting that does not exist, or has a wrong value."""


class ArticleError(RagError):
    """A file that cannot be read as an article."""


class ArticleEmpty(ArticleError):
    """A file without any text of its own."""


class DuplicateArticle(RagError):
    """Two articles with one id."""


class ArticleMissing(RagError):
    """An article, passage or slice that the index does not hold."""


class IndexMissing(RagError):
    """No index in the folder."""


class GenerationMissing(RagError):
    """An index that has no generation to go back to; it is `mending` that puts in the hint."""


class IndexBroken(RagError):
    """An index that fails its own manifest, or was built with other settings.

    The command that builds it anew depends on the settings, so it is `mending` that puts in the hint.
    """


class ModelMissing(RagError):
    """A model that is in no folder, package or cache."""


class ModelBroken(RagError):
    """A model that is there but cannot be loaded or exported."""


class EndpointError(ModelBroken):
    """A model behind HTTP that cannot be reached, breaks off, or says what is no answer."""


class EndpointRefused(RagError):
    """A model behind HTTP that takes no request: the URL, the key or the model is wrong."""


class QuestionError(RagError):
    """An empty question, or a question set that cannot be read."""


class AnswersError(RagError):
    """An answer file that cannot be read or written."""


class ReportError(RagError):
    """A report that cannot be drawn, for what draws it is not installed."""
