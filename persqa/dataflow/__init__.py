"""The operator of DataFlow pipelines, with the names, parameters and defaults of the original.

The outermost layer: it uses both programs, and nothing of PersQA imports it.
"""

from __future__ import annotations

from persqa.dataflow.generator import PersQAGenerator
from persqa.dataflow.local_serving import LocalModelVLMServing_vllm
from persqa.dataflow.prompt import PersQAGeneratorPrompt
from persqa.dataflow.queue_serving import QueueVLMServing
from persqa.dataflow.servings import LLMServingABC
from persqa.dataflow.storages import DataFlowStorage, FileStorage

__all__ = [
    "DataFlowStorage",
    "FileStorage",
    "LLMServingABC",
    "LocalModelVLMServing_vllm",
    "PersQAGenerator",
    "PersQAGeneratorPrompt",
    "QueueVLMServing",
]
