"""Engines on one GPU type, in a pool with several types."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _both(value: Any) -> Any:
    return (value, value) if isinstance(value, int) else value


def _in_order(value: tuple[int, int]) -> tuple[int, int]:
    if not 0 <= value[0] <= value[1] or not value[1]:
        raise ValueError(f"expected minimum <= maximum and maximum >= 1, not {list(value)}")
    return value


Replicas = Annotated[tuple[int, int], BeforeValidator(_both), AfterValidator(_in_order)]


class EngineType(BaseModel):
    """Settings of a pool's engines on one GPU type. Omitted keys default to those of the pool."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replicas: Replicas = Field((1, 1), description="Number of engines on this type, or [minimum, maximum].")
    tensor_parallel: int | None = Field(None, ge=1, description="GPUs per engine that each layer is split over.")
    pipeline_parallel: int | None = Field(
        None, ge=1, description="Pipeline stages per engine that the layers are distributed over."
    )
    max_sequences: int | None = Field(None, ge=1, description="Maximum concurrent requests per engine.")
