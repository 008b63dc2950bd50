"""How the pair learns: bfloat16 weights with exact copies, Muon for matrices, AdamW for the rest, and a log of it."""

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

CHECKPOINT_SECONDS = 120


@dataclass(frozen=True)
class Plan:
    """How long and how fast: steps, what one holds, learning rates of matrices (Muon) and of the rest (AdamW)."""

    steps: int
    batch: int
    matrices: float
    rest: float
    warm_up: int = 50


class Learner:
    """A model in bfloat16 that learns through copies of its weights in float32."""

    def __init__(self, weights: dict[str, nn.Parameter], plan: Plan) -> None:
        self.plan, self.step, self.weights = plan, 0, weights
        self.exact = {name: nn.Parameter(weight.detach().float()) for name, weight in weights.items()}
        matrices = [w for name, w in self.exact.items() if w.ndim == 2 and "embed" not in name]
        rest = [w for name, w in self.exact.items() if w.ndim != 2 or "embed" in name]
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices, lr=plan.matrices, weight_decay=0.01, adjust_lr_fn="original"),
            torch.optim.AdamW(rest, lr=plan.rest, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        ]

    def learn(self, loss: Tensor) -> None:
        """One step down."""
        loss.backward()  # type: ignore[no-untyped-call]
        for name, weight in self.weights.items():
            self.exact[name].grad = None if weight.grad is None else weight.grad.float()
            weight.grad = None
        if distributed.is_initialized():
            self._average()
        nn.utils.clip_grad_norm_(self.exact.values(), 1.0)
        rate = min(1.0, (self.step + 1) / self.plan.warm_up)
        left = 1 - self.step / self.plan.steps
        rate *= 0.02 + 0.98 * min(1.0, left / 0.6)  # flat, then straight down over the last 60%
        for optimizer, full in zip(self.optimizers, (self.plan.matrices, self.plan.rest), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = full * rate
            optimizer.step()
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(self.exact[name])
        self.step += 1

    def _average(self) -> None:
        """Set gradients to their mean over the processes."""
        grads = [weight.grad for weight in self.exact.values() if weight.grad is not None]
        flat = torch.cat([grad.view(-1) for grad in grads])
        distributed.all_reduce(flat)
        flat /= distributed.get_world_size()
        for grad, mean in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
            grad.copy_(mean.view_as(grad))

    def state(self) -> dict[str, object]:
        """What a checkpoint keeps."""
        return {"step": self.step, "exact": self.exact, "optimizers": [o.state_dict() for o in self.optimizers]}

    def restore(self, state: dict[str, object]) -> None:
        """Go on from a checkpoint."""
        self.step = state["step"]  # type: ignore[assignment]
        with torch.no_grad():
            for name, weight in state["exact"].items():  # type: ignore[attr-defined]
                self.exact[name].copy_(weight)
                self.weights[name].copy_(weight)
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):  # type: ignore[call-overload]
            optimizer.load_state_dict(saved)


class Log:
    """Losses as a running mean, a line every hundred steps; and when the next checkpoint is due."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name, self.mean = path, name, dict[str, float]()
        self.saved = self.began = time.monotonic()

    def add(self, step: int, **values: float) -> None:
        """Note the values of one step."""
        for key, value in values.items():
            if not math.isnan(value):
                self.mean[key] = self.mean.get(key, value) * 0.98 + value * 0.02
        if step % 100 == 0:
            spent = {"seconds": round(time.monotonic() - self.began), "cpu_seconds": round(time.process_time())}
            means = {name: round(value, 3) for name, value in self.mean.items()}
            line = {"phase": self.name, "step": step} | spent | means
            print(json.dumps(line), flush=True)
            with self.path.open("a") as file:
                file.write(json.dumps(line) + "\n")

    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        if time.monotonic() - self.saved < CHECKPOINT_SECONDS:
            return False
        self.saved = time.monotonic()
        return True
