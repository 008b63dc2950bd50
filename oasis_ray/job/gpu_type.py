"""The engines of one type of GPU, in a pool that has several."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _both(value: Any) -> Any:
    return (value, value) if isinstance(value, int) else value


def _in_order(value: tuple[int, int]) -> tuple[int, int]:
    if not 0 <= value[0] <= value[1] or not value[1]:
        raise ValueError(f"least and most must be in order, the most at least 1, not {list(value)}")
    return value


Replicas = Annotated[tuple[int, int], BeforeValidator(_both), AfterValidator(_in_order)]


class EngineType(BaseModel):
    """How a pool's engines are on GPUs of one type; what is left out is as the pool says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replicas: Replicas = Field((1, 1), description="How many engines on this type: a number, or [least, most].")
    tensor_parallel: int | None = Field(None, ge=1, description="GPUs that share each layer of one engine.")
    pipeline_parallel: int | None = Field(None, ge=1, description="Groups of GPUs that the layers are spread over.")
    max_sequences: int | None = Field(None, ge=1, description="Requests that one engine works on at once.")
