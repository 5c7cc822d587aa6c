"""An encoder in torch, in bfloat16, on the processor or on a GPU: a `Session` as one of ONNX Runtime is.

It is opened only where passages in large numbers are encoded; importing torch takes seconds, so no question does it.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from rag.errors import ModelBroken

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Raised whenever a change below gives other vectors: it stands in an index's fingerprint.
VERSION: Final = 1
_INSTEAD: Final = "encode in ONNX Runtime: rag index --rebuild --set encoder.backend=onnx-fp32"


class TorchSession:
    """A sentence-transformers model in bfloat16 on a device; it is loaded at the first run.

    May be used from several threads: on the processor each of them computes on a core of its own.
    """

    def __init__(self, folder: Path, *, device: str) -> None:
        self._folder = folder
        self._device = device
        self._model: SentenceTransformer | None = None
        self._loading = threading.Lock()

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, NDArray[np.int64]]
    ) -> Sequence[NDArray[np.float32]]:
        """Return unit rows: (n, dim) float32. There is one output, whatever the names.

        Raises:
            ModelBroken: the model cannot be loaded, or fails, as where a GPU's memory is full.
        """
        del output_names
        with self._loading:
            model = self._model or self._load()
            self._model = model
        import torch

        try:
            with torch.inference_mode():
                fed = {name: torch.from_numpy(array).to(self._device) for name, array in input_feed.items()}
                rows = torch.nn.functional.normalize(model(fed)["sentence_embedding"].float(), dim=-1)
                made: NDArray[np.float32] = rows.cpu().numpy()
                return [made]
        except RuntimeError as error:  # whatever torch and the driver complain of
            raise ModelBroken(f"{self._folder} fails in torch on {self._device}: {error}", hint=_INSTEAD) from error

    def _load(self) -> SentenceTransformer:
        os.environ["HF_HUB_OFFLINE"] = "1"  # read when the libraries are imported
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                import sentence_transformers
                import torch
                from transformers.utils import logging as transformers_logging

                transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
                if self._device == "cpu":
                    # Batches run side by side, one on each core: two cores that share one make half as many passages
                    # a second again as one does, two that do not twice as many.
                    torch.set_num_threads(1)
                return sentence_transformers.SentenceTransformer(
                    str(self._folder),
                    device=self._device,
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"dtype": torch.bfloat16, "use_safetensors": True},
                ).eval()
            except Exception as error:  # a broken file, a driver of another version: each fails in its own way
                raise ModelBroken(
                    f"{self._folder} cannot be loaded by torch on {self._device}: {error}",
                    hint=_INSTEAD,
                ) from error
