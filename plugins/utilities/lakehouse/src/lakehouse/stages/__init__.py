"""The stage: a folder in the cloud that holds the parts, their manifests, and what the job publishes; one module per storage.

docs/how-to-add-a-stage.md says what another one needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.settings import Settings

if TYPE_CHECKING:
    from lakehouse.stages.base import Stage


def open_stage(settings: Settings) -> Stage:
    """The stage of the settings. Imports what that one needs, and opens no connection yet."""
    from lakehouse.workspace.rest import Workspace

    if settings.on_volume:
        from lakehouse.stages.volume import VolumeStage

        return VolumeStage(Workspace(settings), settings)
    from lakehouse.stages.dbfs import DbfsStage

    return DbfsStage(Workspace(settings), settings)
