from producer.dataflow import DataFlowStorage as DataFlowStorage
from producer.dataflow import FileStorage as FileStorage
from producer.dataflow import LLMServingABC as LLMServingABC
from producer.dataflow import LocalModelVLMServing_vllm as LocalModelVLMServing_vllm
from producer.dataflow import PersQAGenerator as PersQAGenerator
from producer.dataflow import PersQAGeneratorPrompt as PersQAGeneratorPrompt
from producer.dataflow import QueueVLMServing as QueueVLMServing
