"""Questions to your own articles, answered in verbatim quotes with citations, offline and in one process."""

import os

__version__ = "0.1.0"

# ONNX Runtime's official builds send usage data to its makers and keep an id of the device in the cache folder, unless
# told otherwise before they are imported; the hub's library adds to its requests what is installed here.
os.environ |= {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
