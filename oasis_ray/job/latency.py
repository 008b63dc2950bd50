"""Latency model of a simulated engine."""

from pydantic import AliasChoices, BaseModel, ConfigDict, Field


class Latency(BaseModel):
    """Latency model of a simulated engine. The defaults match a 72B model on four 80 GB GPUs (docs/performance.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    read_tokens_per_s: float = Field(6000, gt=0, description="Prompt tokens per second.")
    token_s: float = Field(0.03, ge=0, description="Seconds per output token, for a single reply.")
    token_s_per_reply: float = Field(
        0.0003,
        ge=0,
        validation_alias=AliasChoices("token_s_per_reply", "token_s_a_reply"),
        description="Additional seconds per output token, for each concurrent reply.",
    )
    image_tokens: int = Field(1200, ge=0, description="Tokens per image.")
    characters_per_token: float = Field(
        4.0,
        gt=0,
        validation_alias=AliasChoices("characters_per_token", "characters_a_token"),
        description="Characters of text per token.",
    )
    cached_images: int = Field(200, ge=0, description="Size of the image cache: images that are not processed again.")
