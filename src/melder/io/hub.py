"""Directories that go to a hub and come from one: only when a person asks, through huggingface_hub."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from melder.io.atomic import PART
from melder.records import MelderError

__all__ = ["download", "reaches_hub", "upload"]

EXTRA = "needs huggingface_hub: pip install melder[hub]"
PRIVATE = ("lock", "*.lock", f"*{PART}", f"*{PART}/*", ".*")  # what a directory holds for its writers only


def reaches_hub() -> bool:
    """Whether the address of the hub can be looked up, or is a proxy's affair: where it cannot, huggingface_hub would
    try for half a minute for each file."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:  # as somebody asked; not even the name is looked up
        return False
    parts = urlsplit(constants.ENDPOINT)
    if parts.scheme in getproxies():
        return True
    try:
        socket.getaddrinfo(parts.hostname, parts.port or parts.scheme)
    except OSError:
        return False
    return True


def upload(directory: Path, repository: str, *, private: bool, message: str) -> str:
    """Upload a directory, without locks and what is half written.

    Args:
        directory: Of files.
        repository: USER/NAME; made when it is not there.
        private: Whether only its owner sees it, if it is made now.
        message: Of the commit.

    Returns:
        The address of the commit.

    Raises:
        MelderError: Nobody is logged in, or the hub refuses.
    """
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError:
        raise MelderError(f"push_to_hub {EXTRA}") from None
    try:
        interface = HfApi()
        interface.create_repo(repository, private=private, exist_ok=True)
        commit = interface.upload_folder(
            repo_id=repository, folder_path=directory, commit_message=message, ignore_patterns=list(PRIVATE)
        )
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise MelderError(f"{repository}: could not be uploaded ({_line(error)}); see `hf auth login`") from None
    return str(commit.commit_url)


def download(name: str, revision: str | None = None) -> Path:
    """Where the files of a repository are, in the hub's cache; what is there already is not fetched again.

    Args:
        name: USER/NAME.
        revision: A branch, a tag or a commit.

    Raises:
        MelderError: There is no such repository, or the hub cannot be reached.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError:
        raise MelderError(f"{name}: there is no such directory, and a repository {EXTRA}") from None
    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=not reaches_hub()))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = f"there is no such directory, and no repository could be read ({_line(error)})"
        raise MelderError(f"{name}: {reason}; write USER/NAME, or name a directory") from None


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
