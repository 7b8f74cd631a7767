"""A measurement as a table for people and as JSON for later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks._measure import Times, table

__all__ = ["Case", "Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """`slow` shall take at least `least_ratio` times as long as `fast`, by the median of rounds."""

    slow: str
    fast: str
    least_ratio: float


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement. checks: what else was compared or counted, by its name."""

    name: str
    times: Times
    targets: Sequence[Target] = ()
    checks: Mapping[str, float] = field(default_factory=dict)

    def missed(self) -> list[Target]:
        """The targets that were not met."""
        return [target for target in self.targets if self._ratio(target) < target.least_ratio]

    def as_json(self) -> dict[str, Any]:
        """All that is known, in plain values."""
        return {
            "name": self.name,
            "seconds": {name: list(taken) for name, taken in self.times.seconds.items()},
            "cpu_seconds": {name: list(taken) for name, taken in self.times.cpu_seconds.items()},
            "targets": [
                {
                    "slow": target.slow,
                    "fast": target.fast,
                    "least_ratio": target.least_ratio,
                    "ratio": self.times.ratio(target.slow, target.fast),
                    "met": self._ratio(target) >= target.least_ratio,
                }
                for target in self.targets
            ],
            "checks": dict(self.checks),
        }

    def as_text(self) -> str:
        """A table of times, each also as times as fast as the first contestant; targets, checks."""
        first = next(iter(self.times.seconds))
        rows = [self._row(name, first) for name in self.times.seconds]
        header = (self.name, "median s", "least", "most", "CPU s", f"x {first}", "spread")
        lines = [table(header, rows)]
        for target in self.targets:
            ratio, state = self._ratio(target), "missed" if target in self.missed() else "met"
            lines.append(
                f"  {target.fast}: {ratio:.2f}x as fast as {target.slow}, "
                f"at least {target.least_ratio:g}x is asked: {state}"
            )
        lines += [f"  {name}: {value:g}" for name, value in self.checks.items()]
        return "\n".join(lines) + "\n"

    def _row(self, name: str, first: str) -> tuple[str, ...]:
        taken = self.times.seconds[name]
        ratio = self.times.ratio(first, name)
        return (
            name,
            f"{self.times.median_s(name):.2f}",
            f"{min(taken):.2f}",
            f"{max(taken):.2f}",
            f"{self.times.median_cpu_s(name):.2f}",
            f"{ratio['median']:.2f}",
            f"{ratio['min']:.2f}–{ratio['max']:.2f}",
        )

    def _ratio(self, target: Target) -> float:
        return self.times.ratio(target.slow, target.fast)["median"]
