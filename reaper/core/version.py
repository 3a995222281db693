"""The version: packaging, `--version`, the User-Agent and the metrics read it here."""

__version__ = "0.1.0"
