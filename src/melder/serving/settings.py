"""What the service allows, each limit with its reason; `melder serve --limit queue=64` changes one."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, SecretStr, field_validator, model_validator

from melder.data.pictures import WEB_FORMATS, Limits, known_formats
from melder.export.addresses import ENTITY_PREFIX
from melder.runs.model_configuration import Section

__all__ = ["ServiceSettings"]


class ServiceSettings(Section):
    """Limits and addresses of one service. Times are in seconds, sizes in bytes unless they say otherwise."""

    # Batches
    batch: PositiveInt = Field(32, description="mentions that the model reads together: what it scores in one block")
    wait: NonNegativeFloat = Field(0.005, description="what a mention waits for others: little beside the model's time")
    queue: PositiveInt = Field(
        256, description="mentions waiting for the model: at 30 a second, 9 of the deadline's 30"
    )
    deadline: PositiveFloat = Field(30.0, description="from a request's start to its answer: then OpenRefine gives up")
    retry_after: PositiveInt = Field(2, description="what a refused client is told to wait: time for some batches")
    drain: PositiveInt = Field(35, description="from SIGTERM to the end: the deadline, and a little to write answers")

    # Requests
    body: PositiveInt = Field(30_000_000, description="of one request: a picture of 20 MB is 27 MB in base64")
    bodies: PositiveInt = Field(250_000_000, description="of all requests being answered: what a laptop can spare")
    body_seconds: PositiveFloat = Field(30.0, description="to send a body: 1 MB a second for the largest")
    chunks: PositiveInt = Field(
        1_000, description="of a body, and one more for each 1,000 bytes: each costs what 1,000 bytes do"
    )
    parts: PositiveInt = Field(16, description="of a multipart body: there are five fields to fill")
    texts: PositiveInt = Field(64, description="texts in one batch")
    mentions: PositiveInt = Field(128, description="mentions in one request: half of the queue, so that others fit too")
    characters: PositiveInt = Field(20_000, description="in one text: encoders read 40 to 77 tokens of it")
    candidates: PositiveInt = Field(100, description="for one mention: people look at ten, programs rerank a hundred")

    json_values: PositiveInt = Field(
        20_000, description="values, lists and objects in the JSON of a request: 64 texts with 128 mentions are 600"
    )
    json_bytes: PositiveInt = Field(2_000_000, description="of JSON besides pictures: 64 texts of 20,000 letters")
    surface: PositiveInt = Field(1_000, description="characters of a mention or of a name: the longest titles have 500")
    work: PositiveInt = Field(
        50_000_000, description="of one request: mentions × candidates × characters of their texts; a second's work"
    )
    searched: PositiveInt = Field(
        150_000, description="characters in which one request has mentions looked for: half a second's work"
    )

    # Connections
    connections: PositiveInt = Field(
        512, description="being answered at a time: eight times the clients that answers come quickly to"
    )
    connections_reserve: PositiveInt = Field(
        16, description="more that are open: for GET /healthz and /readyz, and to be told that there are too many"
    )
    head_seconds: PositiveFloat = Field(10.0, description="from a connection, or its first byte, to the end of a head")
    idle_seconds: PositiveInt = Field(10, description="that a quiet connection stays open: longer than clients pause")

    # Pictures
    picture_dir: Path | None = Field(None, description="a directory whose pictures clients may name; none: no names")
    picture_bytes: PositiveInt = Field(20_000_000, description="above the largest photographs of phones and cameras")
    picture_pixels: PositiveInt = Field(25_000_000, description="width × height: 100 MB while it is being decoded")
    picture_formats: tuple[str, ...] = Field(
        WEB_FORMATS, description="that are decoded, as Pillow calls them: those whose decoders browsers have hardened"
    )
    decoders: PositiveInt = Field(2, description="pictures decoded at a time: 200 MB at most")
    picture_hosts: tuple[str, ...] = Field(
        (), description="hosts that pictures may be fetched from, .example.org with all below it; none: never fetch"
    )
    picture_seconds: PositiveFloat = Field(10.0, description="to fetch a picture, redirects included")
    picture_redirects: int = Field(3, ge=0, le=3, description="followed, each checked like the first address")

    # Reconciliation
    queries: PositiveInt = Field(50, description="in one batch: OpenRefine sends ten")
    suggestions: PositiveInt = Field(20, description="in one list: what fits below an input field")
    extended: PositiveInt = Field(200, description="entities in one request for properties; OpenRefine sends ten")

    # NIF
    nif_bytes: PositiveInt = Field(1_000_000, description="of a document: GERBIL sends one text of some kB")
    nif_triples: PositiveInt = Field(4_000, description="of a document: 128 marked mentions have 900")
    entity_uri: str = Field(
        ENTITY_PREFIX,
        pattern=r"^[a-z][a-z0-9+.-]*:[^\s<>\"{}|\\^`]*$",
        description="what stands before an entity's id in RDF and TEI: ids of most data sets are Wikidata's",
    )

    # The knowledge base
    poll: PositiveFloat = Field(1.0, description="how often a new generation is looked for: reading one small file")
    changed: PositiveInt = Field(100, description="entities added in one request: encoding them takes seconds")
    entity_pictures: PositiveInt = Field(8, description="of one entity added, which the page shows; methods compare 4")
    token: SecretStr | None = Field(None, description="who has it may change the knowledge base; none: nobody")

    # The log of mentions
    log: Path | None = Field(None, description="a file that the mentions linked are added to; none: nothing is kept")
    log_bytes: PositiveInt = Field(100_000_000, description="of that file: 300,000 mentions in texts of 300 letters")

    # Addresses
    hosts: tuple[str, ...] = Field(
        (), description="names this service answers to, against DNS rebinding; none: every name"
    )
    public_url: str | None = Field(
        None, pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$", description="where clients reach it, behind a proxy"
    )

    @field_validator("picture_formats")
    @classmethod
    def _formats_of_pillow(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return known_formats(value)

    @model_validator(mode="after")
    def _requests_fit_the_queue(self) -> ServiceSettings:
        if max(self.mentions, self.queries) > self.queue:
            raise ValueError("mentions and queries may not be above queue, or the largest requests never fit")
        return self

    @property
    def picture_limits(self) -> Limits:
        """What is refused of a picture before it is decoded."""
        pixels = self.picture_pixels
        return Limits(bytes=self.picture_bytes, pixels=pixels, scan=pixels, formats=self.picture_formats)
