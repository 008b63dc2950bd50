"""Prices: what a GPU costs for an hour, in a file that is the user's."""

from collections.abc import Collection
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Prices(BaseModel):
    """A file of prices."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str = Field(pattern=r"^\w{1,8}$", description="What the prices are in, such as EUR.")
    gpu_hour: Price = Field(description="An hour of one GPU whose type is not among `gpus`, or not known.")
    gpus: dict[str, Price] = Field(
        default_factory=dict, description="An hour of one GPU, by its type as Ray names it: H100, A100-80G, L4."
    )

    def of(self, types: Collection[str]) -> float:
        """The price of a GPU-hour on a cluster with these types of GPU; of several that have a price, the dearest.

        Ray may give one GPU two types, `A100` and `A100-80G`; the file need not name both.
        """
        return max((self.gpus[name] for name in types if name in self.gpus), default=self.gpu_hour)
