"""The files of deploy/."""

from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERAY = DEPLOY / "kuberay"
NOT_OBJECTS = ("kustomization.yaml", "study.yaml")


def objects() -> list[dict[str, Any]]:
    """Every Kubernetes object of kuberay/ and the folders in it."""
    paths = sorted(path for path in KUBERAY.rglob("*.yaml") if path.name not in NOT_OBJECTS)
    return [document for path in paths for document in yaml.safe_load_all(path.read_text())]


def texts() -> dict[str, str]:
    """Every file that is made by hand, by its path in deploy/."""
    folders = ("secrets", "__pycache__")
    paths = (path for path in DEPLOY.rglob("*") if path.is_file() and not set(folders) & set(path.parts))
    return {str(path.relative_to(DEPLOY)): path.read_text() for path in sorted(paths)}
