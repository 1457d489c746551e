"""Requests made up from the interface's own description: whatever they hold, no answer is a 5xx."""

from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, given

from contrasweep.services.records.answers import Planned
from contrasweep.services.settings import Settings
from contrasweep.services.spec.spec import LoadedSpec
from contrasweep.trainers.errors import UserError
from tests.services.service.processes import Processes
from tests.services.service.running import running

EXAMPLES = 4


class Planless(Processes):
    """A cluster on which nothing can be planned."""

    def plan(self, loaded: LoadedSpec) -> Planned:
        raise UserError("the cluster has no nodes")


@pytest.mark.parametrize("user", ["eve", "ada", "root", ""])
def test_no_request_breaks_the_service(tmp_path: Path, user: str) -> None:
    cluster = Planless(Settings(home=tmp_path), seconds=600)
    with running(tmp_path, cluster) as up:
        schema = schemathesis.openapi.from_dict(up.ask("GET", "/openapi.json").json())
        headers = {"authorization": f"Bearer {up.tokens[user]}"} if user else {}
        tried = 0
        for found in schema.get_all_operations():
            operation = found.ok()  # type: ignore[union-attr]

            @hypothesis.settings(
                max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
            )
            @given(case=operation.as_strategy())
            def ask(case: Any) -> None:
                answer = case.call(base_url=up.url, headers=headers, timeout=60)
                assert answer.status_code < 500, answer.text
                assert user or answer.status_code != 200 or case.path == "/healthz"

            ask()
            tried += 1
        assert tried >= 10
        assert up.ask("GET", "/healthz").status_code == 200
    cluster.end()
