"""What the machine does while a seed trains, under the names that MLflow's dashboard groups by itself."""

import psutil
import torch

from contrasweep.trainers.history import EpochMetrics


def system_metrics() -> EpochMetrics:
    """CPU and memory of this node, and memory of this process's GPU: percent and 10^6 bytes.

    The CPU figure is the mean since the last call in this process.
    """
    memory = psutil.virtual_memory()
    row = {
        "system/cpu_utilization_percentage": psutil.cpu_percent(),
        "system/system_memory_usage_megabytes": memory.used / 1e6,
        "system/system_memory_usage_percentage": memory.percent,
    }
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        row["system/gpu_0_memory_usage_megabytes"] = (total - free) / 1e6
    return row
