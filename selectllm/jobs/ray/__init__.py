"""The engine of many machines: Ray carries out what one machine would take too long for."""

from selectllm.jobs.ray.engine import RayEngine

__all__ = ["RayEngine"]
