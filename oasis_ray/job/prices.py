"""Prices: cost of a GPU-hour, in a file of the user."""

from collections.abc import Collection
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Prices(BaseModel):
    """A price file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str = Field(pattern=r"^\w{1,8}$", description="Currency of the prices, such as EUR.")
    gpu_hour: Price = Field(description="Price of a GPU-hour if the type is unknown or not in `gpus`.")
    gpus: dict[str, Price] = Field(
        default_factory=dict, description="Price of a GPU-hour by GPU type, as Ray names it: H100, A100-80G, L4."
    )

    def of(self, types: Collection[str]) -> float:
        """Return the price of a GPU-hour on a cluster with these GPU types: the highest, if several have a price.

        Ray may give one GPU two types, `A100` and `A100-80G`; the file need not name both.
        """
        return max((self.gpus[name] for name in types if name in self.gpus), default=self.gpu_hour)
