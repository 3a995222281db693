"""All settings in one value, checked against each other.

`reaper.settings.load` reads file, environment and flags; `Settings(...)` reads nothing but its arguments.
"""

from __future__ import annotations

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from reaper.settings.cross_checks import CONTRADICTION, contradictions
from reaper.settings.sections import (
    ApiSettings,
    DiscoverySettings,
    GuardSettings,
    IntakeSettings,
    NotifySettings,
    ProtectSettings,
    QueueSettings,
    RetrySettings,
    TelemetrySettings,
    WorkerSettings,
)


class Settings(BaseSettings):
    """Settings of reaper."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix="REAPER_",
        env_nested_delimiter="__",
    )

    api: ApiSettings = Field(default_factory=ApiSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    retry: RetrySettings = Field(default_factory=RetrySettings)
    queue: QueueSettings = Field(default_factory=QueueSettings)
    intake: IntakeSettings = Field(default_factory=IntakeSettings)
    discovery: DiscoverySettings = Field(default_factory=DiscoverySettings)
    protect: ProtectSettings = Field(default_factory=ProtectSettings)
    guard: GuardSettings = Field(default_factory=GuardSettings)
    notify: NotifySettings = Field(default_factory=NotifySettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the arguments alone: `load` reads the environment, because it records where each value comes from."""
        return (init_settings,)

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        faults = contradictions(self.api, self.worker, self.retry, self.queue, self.notify)
        if faults:
            raise PydanticCustomError(
                CONTRADICTION,
                "{text}",
                {"text": "; ".join(f"{key} {text}" for key, _, text in faults), "faults": faults},
            )
        return self
