"""The web service: links, a changing knowledge base, and the Reconciliation API. Needs `pip install melder[serve]`."""

from melder.serving.application import create_application
from melder.serving.catalogue import Catalogue, DataSetCatalogue
from melder.serving.run import LOOPBACK, listen, run
from melder.serving.settings import ServiceSettings
from melder.serving.source import DataSetSource, Editable, NewEntity, Served, ServedSource

__all__ = [
    "LOOPBACK",
    "Catalogue",
    "DataSetCatalogue",
    "DataSetSource",
    "Editable",
    "NewEntity",
    "Served",
    "ServedSource",
    "ServiceSettings",
    "create_application",
    "listen",
    "run",
]
