"""How fast a simulated engine is."""

from pydantic import BaseModel, ConfigDict, Field


class Latency(BaseModel):
    """How fast a simulated engine is. The defaults are of a model of 72B on four GPUs of 80 GB:
    see docs/performance.md.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    read_tokens_per_s: float = Field(6000, gt=0, description="Tokens of prompts that are read in a second.")
    token_s: float = Field(0.03, ge=0, description="Seconds from one written token to the next, for a reply alone.")
    token_s_a_reply: float = Field(0.0003, ge=0, description="More seconds a token for each reply that is written.")
    image_tokens: int = Field(1200, ge=0, description="Tokens of an image.")
    characters_a_token: float = Field(4.0, gt=0, description="Characters of text in a token.")
    cached_images: int = Field(200, ge=0, description="Images that are not read again when they come again.")
