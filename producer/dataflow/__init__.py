"""The operator of DataFlow pipelines, with the names, parameters and defaults of the original.

It is a client of the fleet like any other; no other part of PersQA imports it.
"""

from __future__ import annotations

from producer.dataflow.generator import PersQAGenerator, PersQAGeneratorPrompt
from producer.dataflow.local_serving import LocalModelVLMServing_vllm
from producer.dataflow.queue_serving import QueueVLMServing
from producer.dataflow.servings import LLMServingABC
from producer.dataflow.storages import DataFlowStorage, FileStorage

__all__ = [
    "DataFlowStorage",
    "FileStorage",
    "LLMServingABC",
    "LocalModelVLMServing_vllm",
    "PersQAGenerator",
    "PersQAGeneratorPrompt",
    "QueueVLMServing",
]
