import json
from collections.abc import Callable
from pathlib import Path

from safetensors import safe_open

from contrasweep.trainers.served import ServedConfig
from contrasweep.trainers.served.folded import Folded, Outline


def test_all_tensors_and_what_they_are_of(model: Path, written: Callable[[str], Path]) -> None:
    with safe_open(written("safetensors"), "pt") as file:
        names, told = set(file.keys()), file.metadata()
    folded = Folded.load(model)
    assert names == set(folded.state_dict())
    assert Outline.model_validate_json(told["outline"]) == folded.outline
    assert ServedConfig.model_validate(json.loads(told["contrasweep"])["served"], strict=False).trials == {
        3: "exponential"
    }
