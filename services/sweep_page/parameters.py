"""The parameters that a sweep searched, method by method."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from contrasweep.search_spaces import Value
from contrasweep.services.records.trial_record import TrialRecord
from contrasweep.services.sweep_page.content import Content


@dataclass(frozen=True)
class Parameter:
    """A parameter by its own name, as in `temperature` or `lr`, and what it was drawn from."""

    name: str
    distribution: BaseDistribution

    def value(self, record: TrialRecord) -> Value:
        """What a configuration has."""
        return values(record)[self.name]


def values(record: TrialRecord) -> dict[str, Value]:
    """Everything that makes a configuration, by name."""
    return record.configuration.values


def by_method(content: Content) -> dict[str, list[TrialRecord]]:
    """The configurations of each method that has any, the best first."""
    methods = content.spec.search.spaces
    found = {method: [r for r in content.records if r.configuration.method == method] for method in methods}
    return {method: records for method, records in found.items() if records}


def searched(method: str, records: Sequence[TrialRecord], known: Mapping[str, BaseDistribution]) -> list[Parameter]:
    """Parameters that were drawn for `records`, all of one method.

    Without Optuna's own distributions they are those that differ, each over the range of its values.
    """
    drawn: list[Parameter] = []
    for section, names in _sections(method, records).items():
        for name in names:
            found = [values(record)[name] for record in records]
            distribution = known.get(f"{section}.{name}") or _inferred(found)
            if distribution:
                drawn.append(Parameter(name, distribution))
    return drawn


def _sections(method: str, records: Sequence[TrialRecord]) -> dict[str, list[str]]:
    """What every configuration has: another version of the program may have added to some."""
    first, every = records[0].configuration, set.intersection(*(set(values(record)) for record in records))
    sections: dict[str, Iterable[str]] = {method: first.params, "training": first.training, "choices": first.choices}
    return {section: [name for name in given if name in every] for section, given in sections.items()}


def _inferred(found: Sequence[Value]) -> BaseDistribution | None:
    if len(set(found)) < 2:
        return None
    if all(isinstance(value, int) and not isinstance(value, bool) for value in found):
        whole = [int(value) for value in found if isinstance(value, int)]
        return IntDistribution(min(whole), max(whole))
    numbers = [float(value) for value in found if isinstance(value, float)]
    if len(numbers) == len(found) and max(map(abs, numbers)) < float("inf"):
        return FloatDistribution(min(numbers), max(numbers))
    return CategoricalDistribution(list(dict.fromkeys(found)))
