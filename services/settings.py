"""The settings: where a sweep runs. Nothing here changes what a spec means or which id it has."""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import psutil
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from upath import UPath

from contrasweep.services.complaints import complaint, foremost
from contrasweep.services.text import without_secrets
from contrasweep.trainers.errors import UserError, nearest
from contrasweep.trainers.parameters import Count, Positive

PREFIX = "CONTRASWEEP_"
FILE_VARIABLE = f"{PREFIX}SETTINGS"
DEFAULT_FILE = Path("contrasweep.toml")


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _local_folder(path: str) -> str:
    if "://" in path:
        raise ValueError(
            f"'{without_secrets(path)}' is not allowed: must be a folder, one that all nodes of a cluster see"
        )
    return str(_absolute(Path(path)))


def _folder_or_url(value: str | UPath) -> UPath:
    try:
        path = UPath(value)
    except (ImportError, ValueError) as error:
        shown, reason = without_secrets(str(value)), without_secrets(" ".join(str(error).split()))
        raise ValueError(
            f"'{shown}' is not allowed: must be a folder, or a URL such as s3://bucket/volumes: {reason}"
        ) from error
    return UPath(_absolute(path)) if isinstance(path, Path) else path


def _address(url: str) -> str:
    if url and not re.fullmatch(r"https?://[\w.\-\[\]:]+(/[\w./~-]*)?", url):
        raise ValueError(
            f"'{without_secrets(url)}' is not allowed: must be an address such as http://head:8265, without a password"
        )
    return url.rstrip("/")


def _store(url: str) -> str:
    """Refuse a password that programs would split, and then tell a part of as if that were a host or a port."""
    scheme, _, rest = url.partition("://")
    user, at, _ = rest.rpartition("@")
    splitting = "@ \t\n'\"" + ("/?#" if scheme.startswith("http") else "")
    found = [sign for sign in splitting if sign in user.partition(":")[2]]
    if at and not rest.startswith("/") and found:
        encoded = ", ".join(f"%{ord(sign):02X} for {sign if sign.strip() else 'a blank'}" for sign in found)
        raise ValueError(
            f"the password in the address must be percent-encoded: {encoded}; ~/.pgpass and ~/.mlflow/credentials are "
            "better places for it"
        )
    return url


def _folders(value: str | Sequence[str | Path]) -> tuple[Path, ...]:
    parts = [part for part in value.split(":") if part] if isinstance(value, str) else value
    return tuple(_absolute(Path(part)) for part in parts)


Address = Annotated[str, AfterValidator(_address)]


class Settings(BaseSettings):
    """Where things are, from `CONTRASWEEP_*` in the environment, else contrasweep.toml, else the defaults.

    `home` is the folder of everything local; the stores default to SQLite files in it, and `storage_path` (of
    the checkpoints; a folder that all nodes see) and `volumes` (the prepared volume stores; a folder, or a URL such as
    s3://bucket/volumes) to folders in it. Relative paths start at the current folder.
    `resident_limit_gb` (10^9 bytes) is what decoded data may take of memory before they are streamed instead; None
    is a quarter of what is available, which Ray's object store has room for. `ray_address` "local" starts Ray on
    this machine.

    `server` is the service that the verbs ask, `jobs_address` the Ray dashboard of the cluster that they ask where
    there is no service: `http://HEAD:8265`. `token`, or the file `token_path`, is the user's for the service.
    `data_roots`, separated by colons, are the folders that specs may name files in, and that relative paths of
    submitted specs start from; without any, a spec may name whatever its user can read.
    The service runs `max_running` sweeps at once; a user at most `user_max_running`, and `user_gpu_hours`
    in any 30 days.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    home: Annotated[Path, AfterValidator(_absolute)] = Field(default=Path(".contrasweep"), validate_default=True)
    tracking_uri: Annotated[str, AfterValidator(_store)] = Field(
        default_factory=lambda known: f"sqlite:///{known['home']}/mlflow.db"
    )
    optuna_storage: Annotated[str, AfterValidator(_store)] = Field(
        default_factory=lambda known: f"sqlite:///{known['home']}/optuna.db"
    )
    ray_address: str = "local"
    storage_path: Annotated[str, AfterValidator(_local_folder)] = Field(
        default_factory=lambda known: f"{known['home']}/storage"
    )
    volumes: Annotated[UPath, BeforeValidator(_folder_or_url)] = Field(
        default_factory=lambda known: UPath(known["home"]) / "volumes"
    )
    resident_limit_gb: Positive | None = None
    server: Address = ""
    jobs_address: Address = ""
    token: SecretStr = SecretStr("")
    token_path: Annotated[Path, AfterValidator(_absolute)] | None = None
    data_roots: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_folders)] = ()
    max_running: Count = 1
    user_max_running: Count | None = None
    user_gpu_hours: Positive | None = None

    @property
    def resident_limit_bytes(self) -> int:
        """Bytes of decoded data that are kept in memory."""
        if self.resident_limit_gb is None:
            return int(psutil.virtual_memory().available // 4)
        return int(self.resident_limit_gb * 1e9)

    @property
    def sweeps(self) -> Path:
        """Folder of the sweeps, one folder each by sweep id."""
        return self.home / "sweeps"

    @property
    def reports(self) -> Path:
        """Folder of the reports."""
        return self.home / "reports"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the settings file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, settings_file(os.environ))


def settings_file(environment: Mapping[str, str]) -> Path:
    """The settings file in use; it need not exist unless `CONTRASWEEP_SETTINGS` names it."""
    return Path(environment.get(FILE_VARIABLE) or DEFAULT_FILE)


def load_settings() -> Settings:
    """The settings in force. Raises UserError on unknown variables or keys, values not allowed, a broken file."""
    path = settings_file(os.environ)
    if os.environ.get(FILE_VARIABLE) and not path.is_file():
        raise UserError(f"{FILE_VARIABLE}={path}: no such file")
    _refuse_unknown_variables(os.environ)
    try:
        return Settings()
    except ValidationError as error:
        raise UserError(f"{_origin(error, path)}: {complaint(error, Settings)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid TOML: {error}") from error


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    allowed = [FILE_VARIABLE, *(PREFIX + field.upper() for field in Settings.model_fields)]
    for variable in sorted(environment):
        if variable.upper().startswith(PREFIX) and variable.upper() not in allowed:
            raise UserError(f"environment: unknown variable {variable}; {nearest(variable.upper(), allowed)}")


def _origin(error: ValidationError, path: Path) -> str:
    """Which of the environment and the file holds the mistake that is told."""
    variable = PREFIX + str(foremost(error)["loc"][0]).upper()
    return "environment" if variable in {name.upper() for name in os.environ} else str(path)
