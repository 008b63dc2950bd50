"""The small models that the checkout holds: trained, in the forms of Qwen2-VL and Qwen2."""

from tests.support.checkout import ROOT

VLM, LLM = ROOT / "benchmarks/models/vlm", ROOT / "benchmarks/models/llm"
